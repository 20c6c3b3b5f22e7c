/**
 * What is said in HELLO and PROOF frames, and how it is checked.
 * PROTOCOL.md, "Handshake".
 *
 * @module
 */

import { type Bytes, fromBase64Url, toBase64Url } from "../auth/base64url.ts";
import { NONCE_BYTES } from "../auth/proof.ts";
import { LimpetError } from "../errors.ts";
import { encodeControl, type Fields } from "../frame/control.ts";
import { textsIn } from "../frame/lists.ts";
import { type Frame, FrameType } from "../frame/frame.ts";
import { type Limits, MIN_FRAME_BYTES } from "../limits.ts";
import type { Platform } from "../ports.ts";

/** The one version there is. */
export const VERSION = 1;

/** What is written into HELLO's `software`. */
export const SOFTWARE = "limpet/0.1.0";

/** Of a token (HMAC-SHA-256) and of a key pair (Ed25519). */
const PROOF_BYTES = [32, 64];
const MAX_KEY_TEXT = 64;
const MAX_PLATFORM_TEXT = 4_096;

/** What the peer accepts, from its HELLO. */
export interface PeerLimits {
  /** Largest frame payload, in bytes. */
  readonly frameBytes: number;
  /** Largest control message in parts, in bytes. */
  readonly controlBytes: number;
  /** Credit that every stream begins with, in bytes. */
  readonly windowBytes: number;
}

/** A frame of the session itself: channel 0. */
export function sessionFrame(type: number, fields: object): Frame {
  return { type, stream: 0, channel: 0, payload: encodeControl(fields) };
}

/** From where a peer wants a session to go on. */
export interface Position {
  /** How many whole frames have come to it. */
  readonly received: number;
  /**
   * How many bytes of the next one's payload have; undefined from who goes on
   * with whole frames alone.
   */
  readonly begun?: number;
}

/** Which session a client goes on with, from HELLO. */
export interface ResumeRequest extends Position {
  /** What the server's PROOF called it. */
  readonly session: string;
}

/** What only one side's HELLO has. */
export type HelloFields =
  | {
    readonly min: number;
    readonly max: number;
    readonly features: readonly string[];
    readonly bindings: readonly string[];
    readonly resume?: ResumeRequest;
  }
  | {
    readonly version: number;
    readonly hostKey: string | undefined;
    readonly binding: string | undefined;
  };

/** A HELLO frame: the client's offers, the server's has chosen. */
export function helloFrame(
  own: HelloFields,
  nonce: Uint8Array,
  limits: Limits,
): Frame {
  return sessionFrame(FrameType.HELLO, {
    features: [],
    ...own,
    nonce: toBase64Url(nonce),
    limits: {
      frame: limits.maxFrameBytes,
      control: Math.min(limits.maxControlBytes, Number.MAX_SAFE_INTEGER),
      window: limits.windowBytes,
    },
    software: SOFTWARE,
  });
}

/** Checks the fields that both HELLOs have. */
export function readHello(hello: Fields): PeerLimits {
  if (fromBase64Url(hello.text("nonce", 64), NONCE_BYTES) === null) {
    throw hello.wrong("nonce", `base64url of ${NONCE_BYTES} bytes`);
  }
  textsIn(hello, "features");
  hello.text("software");
  const limits = hello.object("limits");
  return {
    frameBytes: limits.integer("frame", { min: MIN_FRAME_BYTES }),
    controlBytes: limits.integer("control"),
    windowBytes: limits.integer("window", { max: 0x7fff_ffff }),
  };
}

/** Which session a client's HELLO asks for, if it is not a new one. */
export function readResume(hello: Fields): ResumeRequest | null {
  if (!hello.has("resume")) return null;
  const resume = hello.object("resume");
  return {
    session: resume.text("session", MAX_KEY_TEXT),
    ...readPosition(resume),
  };
}

/** Of HELLO's `resume` and PROOF's `resumed`. */
export function readPosition(fields: Fields): Position {
  return {
    received: fields.integer("received"),
    begun: fields.has("begun") ? fields.integer("begun") : undefined,
  };
}

/** The version to speak with a client, or `version_mismatch`. */
export function chooseVersion(hello: Fields): number {
  const min = hello.integer("min", { min: 1 });
  const max = hello.integer("max", { min: 1 });
  if (min <= VERSION && VERSION <= max) return VERSION;
  throw new LimpetError(
    "version_mismatch",
    `Client speaks protocol versions ${min} to ${max}, this server ${VERSION}`,
  );
}

/** The proof in a PROOF frame: 32 or 64 bytes. */
export function readProof(fields: Fields): Bytes {
  const text = fields.text("proof", 100);
  for (const length of PROOF_BYTES) {
    const proof = fromBase64Url(text, length);
    if (proof !== null) return proof;
  }
  throw fields.wrong("proof", `base64url of ${PROOF_BYTES.join(" or ")} bytes`);
}

/** Whose proof it is, if PROOF says so; whose key the server has, in HELLO. */
export function readKey(fields: Fields, name: string): string | undefined {
  return fields.has(name) ? fields.text(name, MAX_KEY_TEXT) : undefined;
}

/** What the server says of its machine. */
export function readPlatform(proof: Fields): Platform {
  const platform = proof.object("platform");
  const text = (key: string) => platform.text(key, MAX_PLATFORM_TEXT);
  return {
    os: text("os"),
    arch: text("arch"),
    shell: text("shell"),
    encoding: text("encoding"),
    cwd: text("cwd"),
    runtime: text("runtime"),
  };
}
