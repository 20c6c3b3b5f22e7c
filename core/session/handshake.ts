/**
 * The handshake: preface, HELLO, PROOF. PROTOCOL.md, "Handshake".
 *
 * @module
 */

import { type ErrorCode, LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";
import { decodeControl, type Fields } from "../frame/control.ts";
import {
  encodeFrame,
  FIRST_OPTIONAL_TYPE,
  type Frame,
  frameName,
  FrameType,
} from "../frame/frame.ts";
import {
  CLIENT_PREFACE,
  type Noise,
  SERVER_PREFACE,
} from "../frame/preface.ts";
import type { Limits } from "../limits.ts";
import type { PlainLink } from "../link/plain_link.ts";
import type { Platform } from "../ports.ts";
import { within } from "./deadline.ts";
import {
  chooseVersion,
  helloFrame,
  type PeerLimits,
  readHello,
  readPlatform,
  readProof,
  sessionFrame,
  VERSION,
} from "./hello.ts";
import {
  makeNonce,
  toBase64Url,
  type TokenKey,
  transcriptOf,
} from "./proof.ts";

/** The client's half-way point: it may send, and must not yet believe. */
export interface ClientHandshake {
  readonly peerLimits: PeerLimits;
  /**
   * Waits for the server's proof and verifies it. To be called once, after
   * whatever should leave together with our own proof has been queued.
   */
  verify(): Promise<Platform>;
  /** Our PROOF, to be sent before anything else. */
  readonly proof: Frame;
}

/** Runs the client's side up to the server's HELLO. */
export async function clientHandshake(
  link: PlainLink,
  token: TokenKey,
  limits: Limits,
  noise?: Noise,
): Promise<ClientHandshake> {
  const hello = helloFrame(
    { min: VERSION, max: VERSION },
    makeNonce(),
    limits,
  );
  link.sendPreface(CLIENT_PREFACE);
  await link.send([hello]);
  await link.receivePreface(SERVER_PREFACE, noise);
  const answer = await expectFrame(link, FrameType.HELLO);
  const fields = decodeControl(answer.payload, "HELLO");
  fields.integer("version", { min: VERSION, max: VERSION });
  const peerLimits = readHello(fields);
  const transcript = await transcriptOf(
    encodeFrame(hello),
    encodeFrame(answer),
  );
  const proof = await token.clientProof(transcript);
  return {
    peerLimits,
    proof: proofFrame(proof),
    verify: async () => {
      const frame = await expectFrame(link, FrameType.PROOF);
      const fields = decodeControl(frame.payload, "PROOF");
      const theirs = readProof(fields);
      if (!(await token.verifyServer(theirs, transcript, proof))) {
        throw new LimpetError(
          "unauthenticated",
          `Server at ${link.peer} could not prove that it has the token`,
        );
      }
      link.maxPayload = limits.maxFrameBytes;
      return readPlatform(fields);
    },
  };
}

/** Runs the server's side to its end; afterwards the client is known. */
export async function serverHandshake(
  link: PlainLink,
  token: TokenKey,
  limits: Limits,
  platform: Platform,
): Promise<PeerLimits> {
  await link.receivePreface(CLIENT_PREFACE);
  link.sendPreface(SERVER_PREFACE);
  const clientHello = await expectFrame(link, FrameType.HELLO);
  const fields = decodeControl(clientHello.payload, "HELLO");
  const version = chooseVersion(fields);
  const peerLimits = readHello(fields);
  const hello = helloFrame({ version }, makeNonce(), limits);
  await link.send([hello]);
  const transcript = await transcriptOf(
    encodeFrame(clientHello),
    encodeFrame(hello),
  );
  const proofPayload = await expectFrame(link, FrameType.PROOF);
  const theirs = readProof(decodeControl(proofPayload.payload, "PROOF"));
  if (!(await token.verifyClient(theirs, transcript))) {
    throw new LimpetError("unauthenticated", "Authentication failed");
  }
  link.maxPayload = limits.maxFrameBytes;
  const ours = await token.serverProof(transcript, theirs);
  await link.send([proofFrame(ours, platform)]);
  return peerLimits;
}

/** Codes of a failed handshake that are for the peer to know. */
const TOLD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unauthenticated",
  "version_mismatch",
  "protocol_error",
  "limit_exceeded",
  "timed_out",
]);

/**
 * Hangs up after a failed handshake. Says why, but only to a peer that has shown
 * that it speaks Limpet, and that has not hung up itself. Never rejects.
 */
export async function turnAway(
  link: PlainLink,
  error: LimpetError,
): Promise<void> {
  if (link.greeted && !link.dismissed && TOLD.has(error.code)) {
    const { code, message } = error;
    const goodbye = sessionFrame(FrameType.CLOSE, { code, message });
    const told = link.send([goodbye]).then(() => link.close());
    await within(told, { ms: 2_000, doing: "Closing" }).catch(() => {});
  }
  link.abort(error);
}

/** How a session can end: no peer can make us believe anything else. */
const CLOSE_CODES = [
  "closed",
  "shutting_down",
  "unauthenticated",
  "version_mismatch",
  "protocol_error",
  "limit_exceeded",
  "timed_out",
] as const satisfies readonly ErrorCode[];

function isCloseCode(code: string): code is (typeof CLOSE_CODES)[number] {
  return (CLOSE_CODES as readonly string[]).includes(code);
}

/** The error that a peer's CLOSE stands for. */
export function readClose(payload: Uint8Array, peer: string): LimpetError {
  const fields: Fields = decodeControl(payload, "CLOSE");
  const code = fields.text("code", 100);
  const message = fields.message("message");
  if (code === "unauthenticated") {
    return new LimpetError(
      "unauthenticated",
      `${peer} did not accept the proof of the token: it has another one`,
    );
  }
  return new LimpetError(
    isCloseCode(code) ? code : "protocol_error",
    `${peer} closed the connection: ${message} (${printable(code)})`,
  );
}

async function expectFrame(link: PlainLink, type: number): Promise<Frame> {
  let frame: Frame | null;
  do {
    frame = await link.next();
  } while (frame !== null && frame.type >= FIRST_OPTIONAL_TYPE);
  if (frame === null) {
    throw new LimpetError(
      "connection_lost",
      `Connection to ${link.peer} ended before ${frameName(type)}`,
    );
  }
  if (isSessionFrame(frame, FrameType.CLOSE)) {
    const reason = readClose(frame.payload, link.peer);
    link.dismissed = true;
    throw reason;
  }
  if (isSessionFrame(frame, type)) return frame;
  throw new LimpetError(
    "protocol_error",
    `Peer sent ${frameName(frame.type)} on channel ${frame.channel} where ` +
      `${frameName(type)} was due`,
  );
}

/** Whether it is a frame of this type in its right place. */
export function isSessionFrame(frame: Frame, type: number): boolean {
  return frame.type === type && frame.channel === 0 && frame.stream === 0;
}

function proofFrame(proof: Uint8Array, platform?: Platform): Frame {
  return sessionFrame(FrameType.PROOF, {
    proof: toBase64Url(proof),
    platform,
  });
}
