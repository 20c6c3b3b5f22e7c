/**
 * The handshake: preface, HELLO, PROOF. PROTOCOL.md, "Handshake".
 *
 * @module
 */

import type { Authenticator } from "../auth/authenticator.ts";
import { toBase64Url } from "../auth/base64url.ts";
import type { Credential } from "../auth/credential.ts";
import { makeNonce, transcriptOf } from "../auth/proof.ts";
import { type ErrorCode, LimpetError } from "../errors.ts";
import type { Proven } from "../identity.ts";
import { printable } from "../printable.ts";
import { decodeControl, type Fields, NOTHING_TAKEN } from "../frame/control.ts";
import { textsIn } from "../frame/lists.ts";
import {
  encodeFrame,
  FIRST_OPTIONAL_TYPE,
  type Frame,
  frameName,
  FrameType,
  misplaced,
} from "../frame/frame.ts";
import {
  CLIENT_PREFACE,
  type Noise,
  SERVER_PREFACE,
} from "../frame/preface.ts";
import { describeClient, describeServer } from "../frame/strangers.ts";
import type { Limits } from "../limits.ts";
import type { PlainLink } from "../link/plain_link.ts";
import type { Platform } from "../ports.ts";
import { bindingOf, chooseBinding, offeredBindings } from "./binding.ts";
import { within } from "./deadline.ts";
import {
  chooseVersion,
  helloFrame,
  type PeerLimits,
  readHello,
  readKey,
  readPlatform,
  readProof,
  readResume,
  type ResumeRequest,
  sessionFrame,
  VERSION,
} from "./hello.ts";

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

/** What a client that can resume adds to its handshake. */
export interface ResumeOffer {
  /** For HELLO, features of the credential included. */
  readonly hello: {
    readonly features: readonly string[];
    /** The session to go on with; absent for a new one. */
    readonly resume?: ResumeRequest;
  };
  /** Gets what the server's PROOF says, once that is verified. */
  granted(proof: Fields): void;
}

/** Runs the client's side up to the server's HELLO. */
export async function clientHandshake(
  link: PlainLink,
  credential: Credential,
  limits: Limits,
  noise?: Noise,
  offer?: ResumeOffer,
): Promise<ClientHandshake> {
  const { peer, tls } = link;
  const bindings = offeredBindings(tls);
  const features = credential.features ?? [];
  const hello = helloFrame(
    { min: VERSION, max: VERSION, features, bindings, ...offer?.hello },
    makeNonce(),
    limits,
  );
  link.sendPreface(CLIENT_PREFACE);
  await link.send([hello]);
  await link.receivePreface(
    SERVER_PREFACE,
    (bytes) => describeServer(bytes, peer),
    noise,
  );
  const answer = await expectFrame(link, FrameType.HELLO);
  const fields = decodeControl(answer.payload, "HELLO");
  fields.integer("version", { min: VERSION, max: VERSION });
  const peerLimits = readHello(fields);
  const hostKey = readKey(fields, "hostKey");
  const binding = readKey(fields, "binding");
  if (binding !== undefined && !bindings.includes(binding)) {
    throw fields.wrong("binding", "one of those offered");
  }
  const transcript = await transcriptOf(
    encodeFrame(hello),
    encodeFrame(answer),
    bindingOf(tls, binding),
  );
  const { key, proof, verifyServer } = await credential.prove(transcript, {
    hostKey,
    peer,
  });
  return {
    peerLimits,
    proof: proofFrame({ key, proof: toBase64Url(proof) }),
    verify: async () => {
      const frame = await expectFrame(link, FrameType.PROOF, NOTHING_TAKEN);
      const fields = decodeControl(frame.payload, "PROOF");
      if (!(await verifyServer(readProof(fields)))) {
        throw new LimpetError(
          "unauthenticated",
          `Server at ${peer} could not prove that it has the ` +
            (hostKey === undefined ? "token" : "token or the key it showed"),
        );
      }
      link.maxPayload = limits.maxFrameBytes;
      offer?.granted(fields);
      return readPlatform(fields);
    },
  };
}

/** The client as the server knows it after the handshake. */
export interface KnownClient extends Proven {
  readonly peerLimits: PeerLimits;
  /** What a round trip took, and what the client did meanwhile, in milliseconds. */
  readonly roundTripMs: number;
  /** Whether it can resume a session that it begins now. */
  readonly resumes: boolean;
  /** Which one it goes on with, if it does not begin one. */
  readonly resume: ResumeRequest | null;
  /** Sends our PROOF with these fields, and what else is to go with it. */
  welcome(fields: object, ...more: Frame[]): Promise<void>;
}

/**
 * Runs the server's side until the client is known; our PROOF is not sent yet.
 * `asked` gets what the client says it wants to resume, before it has proved
 * anything.
 */
export async function serverHandshake(
  link: PlainLink,
  authenticator: Authenticator,
  limits: Limits,
  platform: Platform,
  asked: (resume: ResumeRequest | null) => void = () => {},
): Promise<KnownClient> {
  await link.receivePreface(CLIENT_PREFACE, describeClient);
  link.sendPreface(SERVER_PREFACE);
  const clientHello = await expectFrame(link, FrameType.HELLO);
  const fields = decodeControl(clientHello.payload, "HELLO");
  const version = chooseVersion(fields);
  const peerLimits = readHello(fields);
  const resume = readResume(fields);
  asked(resume);
  const features = textsIn(fields, "features");
  const offered = fields.has("bindings") ? textsIn(fields, "bindings") : [];
  const binding = chooseBinding(link.tls, offered);
  let hostKey: string | undefined;
  if (features.includes("ed25519")) {
    await authenticator.prepare?.();
    ({ hostKey } = authenticator);
  }
  const hello = helloFrame({ version, hostKey, binding }, makeNonce(), limits);
  const since = performance.now();
  await link.send([hello]);
  const transcript = await transcriptOf(
    encodeFrame(clientHello),
    encodeFrame(hello),
    bindingOf(link.tls, binding),
  );
  const answer = await expectFrame(link, FrameType.PROOF);
  const roundTripMs = link.heardAt - since;
  const proofFields = decodeControl(answer.payload, "PROOF");
  const admission = await authenticator.authenticate({
    key: readKey(proofFields, "key"),
    proof: readProof(proofFields),
    transcript,
    peer: link.peer,
  });
  if ("denied" in admission) {
    throw new LimpetError("unauthenticated", AUTHENTICATION_FAILED, {
      cause: admission.denied,
    });
  }
  link.maxPayload = limits.maxFrameBytes;
  const { identity, key, isSole, proof } = admission;
  const resumes = features.includes("resume");
  const ours = { proof: toBase64Url(proof), platform };
  return {
    identity,
    key,
    isSole,
    peerLimits,
    roundTripMs,
    resumes,
    resume,
    welcome: (own, ...more) =>
      link.send([proofFrame({ ...ours, ...own }), ...more]),
  };
}

/** All that a client learns, whatever the reason was. */
const AUTHENTICATION_FAILED = "Authentication failed";

/** Codes with which we tell the peer that it is at fault. */
export const FAULTS: readonly ErrorCode[] = [
  "unauthenticated",
  "version_mismatch",
  "protocol_error",
  "limit_exceeded",
  "timed_out",
];

/**
 * Hangs up after a failed handshake. Says why, but only to a peer that has shown
 * that it speaks Limpet, and that has not hung up itself. The error gets to know
 * whether the peer has said anything. Never rejects.
 */
export async function turnAway(
  link: PlainLink,
  error: LimpetError,
): Promise<void> {
  error.silent = !link.heard;
  if (link.greeted && !link.dismissed && FAULTS.includes(error.code)) {
    const goodbye = closeFrame(error.code, error.message);
    const told = link.send([goodbye]).then(() => link.close());
    await within(told, { ms: 2_000, doing: "Closing" }).catch(() => {});
  }
  link.abort(error);
}

/** How a session can end: no peer can make us believe anything else. */
const CLOSE_CODES = ["closed", "shutting_down", ...FAULTS];

function isCloseCode(code: string): code is ErrorCode {
  return CLOSE_CODES.includes(code);
}

/** The error that a peer's CLOSE stands for. */
export function readClose(payload: Uint8Array, peer: string): LimpetError {
  const fields: Fields = decodeControl(payload, "CLOSE");
  const code = fields.text("code", 100);
  const message = fields.message("message");
  if (code === "unauthenticated" && message === AUTHENTICATION_FAILED) {
    return new LimpetError(
      "unauthenticated",
      `${peer} did not accept our proof: it knows no such token or key, or ` +
        "does not let it in from here or any more",
    );
  }
  return new LimpetError(
    isCloseCode(code) ? code : "protocol_error",
    `${peer} closed the connection: ${message} (${printable(code)})`,
  );
}

async function expectFrame(
  link: PlainLink,
  type: number,
  cause?: string,
): Promise<Frame> {
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
    const { code, message } = reason;
    throw new LimpetError(code, message, { cause });
  }
  if (isSessionFrame(frame, type)) return frame;
  misplaced(frame, `where ${frameName(type)} was due`);
}

/** Whether it is a frame of this type in its right place. */
export function isSessionFrame(frame: Frame, type: number): boolean {
  return frame.type === type && frame.channel === 0 && frame.stream === 0;
}

/** CLOSE, the last words of a side. */
export function closeFrame(code: string, message: string): Frame {
  return sessionFrame(FrameType.CLOSE, { code, message });
}

function proofFrame(fields: object): Frame {
  return sessionFrame(FrameType.PROOF, fields);
}
