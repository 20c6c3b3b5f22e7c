import { expect, test } from "vitest";
import { decodeControl } from "../core/frame/control.ts";
import { Decoder } from "../core/frame/decoder.ts";
import {
  FIRST_OPTIONAL_TYPE,
  type Frame,
  FrameType,
  HEADER_BYTES,
} from "../core/frame/frame.ts";
import {
  CLIENT_PREFACE,
  PrefaceMatcher,
  SERVER_PREFACE,
} from "../core/frame/preface.ts";
import { describeClient, describeServer } from "../core/frame/strangers.ts";
import { readKey, readProof } from "../core/session/hello.ts";
import { PartAssembler } from "../core/session/parts.ts";
import { Identities } from "../core/auth/identities.ts";
import { KeyCredential } from "../core/auth/key_credential.ts";
import { KeyPair } from "../core/auth/key_pair.ts";
import {
  clientMessage,
  serverMessage,
  transcriptOf,
} from "../core/auth/proof.ts";
import { TokenKey } from "../core/auth/token.ts";
import {
  bytesOf,
  cutAt,
  decode,
  fromHex,
  join,
  toHex,
} from "./support/frames.ts";
import {
  frameVectors,
  handshakeVectors,
  type Message,
  prefaceVectors,
} from "./support/vectors.ts";

const EXPECTED = { client: SERVER_PREFACE, server: CLIENT_PREFACE };
const bytes = (hex: string) => new Uint8Array(fromHex(hex));

/** Whole, byte by byte if that is not too much, and in two at some places. */
function splits(whole: Uint8Array): Uint8Array[][] {
  const short = whole.byteLength <= 2_000;
  const step = short ? 1 : Math.ceil(whole.byteLength / 20);
  const two = [];
  for (let at = 0; at <= whole.byteLength; at += step) {
    two.push(cutAt(whole, [at]));
  }
  return short ? [cutAt(whole, [...whole.keys()]), ...two] : two;
}

test("the prefaces are those of the protocol", () => {
  expect(toHex(CLIENT_PREFACE)).toBe(prefaceVectors.prefaces.client);
  expect(toHex(SERVER_PREFACE)).toBe(prefaceVectors.prefaces.server);
  expect(prefaceVectors.cases.length).toBeGreaterThan(40);
});

test.each(prefaceVectors.cases)("preface: $name", (vector) => {
  const before = fromHex(vector.before?.hex ?? "");
  const whole = join([
    ...Array<Uint8Array>(vector.before?.times ?? 0).fill(before),
    fromHex(vector.hex),
  ]);
  const may = vector.transport === "stdio" && vector.reader === "client";
  const attempt = (chunks: Uint8Array[]) => {
    const shown: Uint8Array[] = [];
    const noise = {
      maxBytes: prefaceVectors.skipLimit,
      show: (skipped: Uint8Array) => shown.push(skipped.slice()),
    };
    const expected = EXPECTED[vector.reader];
    const describe = vector.reader === "client"
      ? describeServer
      : describeClient;
    const matcher = new PrefaceMatcher(
      expected,
      describe,
      may ? noise : undefined,
    );
    let rest: Uint8Array | undefined;
    for (const chunk of chunks) {
      if (rest === undefined) rest = matcher.push(chunk);
      else rest = join([rest, chunk]);
    }
    return { rest, shown: join(shown) };
  };
  for (const chunks of splits(whole)) {
    if (vector.result === "close") {
      expect(() => attempt(chunks)).toThrow(
        expect.objectContaining({ code: "protocol_error" }),
      );
      continue;
    }
    const { rest, shown } = attempt(chunks);
    const consumed = rest && whole.byteLength - rest.byteLength;
    expect(consumed).toBe(vector.consumed);
    if (vector.skipped !== undefined) {
      expect(toHex(shown)).toBe(vector.skipped);
    }
  }
  if (vector.decided !== undefined) {
    expect(() => attempt([whole.subarray(0, vector.decided)])).toThrow();
    expect(attempt([whole.subarray(0, vector.decided - 1)]).rest)
      .toBeUndefined();
  }
});

test("the labels are those of the protocol", () => {
  expect(Object.values(handshakeVectors.labels).map(fromHexText)).toEqual([
    "limpet/1 client proof\0",
    "limpet/1 server proof\0",
  ]);
});

const fromHexText = (hex: string) => new TextDecoder().decode(fromHex(hex));

test.each(handshakeVectors.cases)("handshake: $name", async (vector) => {
  const key = await TokenKey.from(vector.token);
  const transcript = await transcriptOf(
    bytes(vector.clientHello),
    bytes(vector.serverHello),
    bytes(vector.binding),
  );
  expect(toHex(transcript)).toBe(vector.transcript);
  if (vector.wrong !== "client") {
    expect(await key.id).toBe(vector.tokenId);
  }
  const theirs = bytes(vector.clientProof);
  const ours = bytes(vector.serverProof ?? "");
  const clientFits = await key.verify(theirs, clientMessage(transcript));
  expect(clientFits).toBe(vector.wrong !== "client");
  if (clientFits) {
    expect(toHex(await key.sign(clientMessage(transcript)))).toBe(
      vector.clientProof,
    );
    const serverFits = await key.verify(
      ours,
      serverMessage(transcript, theirs),
    );
    expect(serverFits).toBe(vector.verifies);
    const right = toHex(await key.sign(serverMessage(transcript, theirs)));
    expect(right === vector.serverProof).toBe(vector.verifies);
  }
  for (
    const [hex, proof] of [
      [vector.clientProofFrame, theirs],
      [vector.serverProofFrame, ours],
    ] as const
  ) {
    if (!hex) continue; // A server that was not convinced sends no proof.
    const frame = fromHex(hex).subarray(HEADER_BYTES);
    expect(readProof(decodeControl(frame, "PROOF"))).toEqual(proof);
  }
});

test.each(handshakeVectors.keyPairs)("key pair: $name", async (vector) => {
  const { clientKey, hostKey, wrong } = vector;
  const client = await KeyPair.fromPem(pemOf(vector.clientSeed));
  const host = await KeyPair.fromPem(pemOf(vector.hostSeed));
  expect([client.publicKey, host.publicKey]).toEqual([clientKey, hostKey]);
  const transcript = await transcriptOf(
    bytes(vector.clientHello),
    bytes(vector.serverHello),
  );
  expect(toHex(transcript)).toBe(vector.transcript);
  const theirs = bytes(vector.clientProof);
  const ours = bytes(vector.serverProof);
  const asClient = new KeyCredential(client, hostKey);
  const { proof, verifyServer } = await asClient.prove(transcript, {
    hostKey,
    peer: "the vectors",
  });
  // Ed25519 has one signature for a key and a message.
  expect(toHex(proof) === vector.clientProof).toBe(wrong !== "client");
  const known = [{ name: "it", publicKey: clientKey }];
  const asServer = await Identities.from(known, host);
  const answer = await asServer.authenticate({
    key: clientKey,
    proof: theirs,
    transcript,
    peer: "the vectors",
  });
  expect("identity" in answer).toBe(wrong !== "client");
  if ("identity" in answer) {
    expect(toHex(answer.proof) === vector.serverProof).toBe(
      wrong === undefined,
    );
    expect(await verifyServer(ours)).toBe(wrong === undefined);
  }
  const frame = fromHex(vector.clientProofFrame).subarray(HEADER_BYTES);
  const fields = decodeControl(frame, "PROOF");
  expect(readProof(fields)).toEqual(theirs);
  expect(readKey(fields, "key")).toBe(clientKey);
});

/** PKCS #8 of a private key: RFC 8410 section 7. */
function pemOf(seed: string): string {
  const der = fromHex(`302e020100300506032b657004220420${seed}`);
  const body = btoa(String.fromCharCode(...der));
  return `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
}

/** What these bytes say, as the vectors write it. */
function messagesOf(chunks: Uint8Array[], frame: number, control: number) {
  const decoder = new Decoder(frame);
  const parts = new PartAssembler(control);
  const messages: Message[] = [];
  for (const received of decode(chunks, decoder)) {
    const whole = parts.push(received);
    if (whole === null || whole.type >= FIRST_OPTIONAL_TYPE) continue;
    messages.push(messageOf(whole));
  }
  decoder.end();
  return messages;
}

function messageOf({ type, stream, channel, payload }: Frame): Message {
  const name = Object.entries(FrameType).find(([, t]) => t === type)?.[0] ?? "";
  const common = { type, name, stream, channel };
  if (type === FrameType.CREDIT) {
    const view = new DataView(payload.buffer, payload.byteOffset);
    return { ...common, credit: view.getUint32(0) };
  }
  if (["DATA", "STOP", "PING", "PONG", "ACK"].includes(name)) {
    return { ...common, payload: toHex(payload) };
  }
  decodeControl(payload, name);
  const json = JSON.parse(new TextDecoder().decode(payload));
  return { ...common, json };
}

/** Neighbouring DATA of a stream as one: where it is cut has no meaning. */
function merged(messages: readonly Message[]): Message[] {
  const list: Message[] = [];
  for (const message of messages) {
    const last = list.at(-1);
    const goesOn = message.name === "DATA" && last?.name === "DATA" &&
      last.channel === message.channel && last.stream === message.stream;
    if (!goesOn) list.push(message);
    else {
      const payload = `${last.payload}${message.payload}`;
      list[list.length - 1] = { ...message, payload };
    }
  }
  return list;
}

test("the types are those of the protocol", () => {
  expect(FrameType).toEqual(frameVectors.types);
});

test.each(frameVectors.valid)("frames: $name", ({ hex, limits, messages }) => {
  for (const chunks of splits(fromHex(hex))) {
    const got = messagesOf(chunks, limits.frame, limits.control);
    expect(merged(got)).toEqual(merged(messages));
  }
});

test.each(frameVectors.valid)(
  "frames, encoded again: $name",
  ({ hex, limits }) => {
    const whole = fromHex(hex);
    const frames = decode([whole], new Decoder(limits.frame));
    expect(toHex(bytesOf(...frames))).toBe(hex);
  },
);
