/**
 * What a proof is made over. PROTOCOL.md, "Handshake".
 *
 * @module
 */

import { concat, EMPTY, utf8 } from "../bytes.ts";
import type { Bytes } from "./base64url.ts";

/** Bytes of a nonce. */
export const NONCE_BYTES = 32;

/**
 * SHA-256 over both HELLO frames, headers included, and what binds the proofs
 * to the connection beneath, if anything does.
 */
export async function transcriptOf(
  clientHello: Uint8Array,
  serverHello: Uint8Array,
  binding: Uint8Array = EMPTY,
): Promise<Bytes> {
  const whole = concat([clientHello, serverHello, binding]);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** Fresh random bytes for a HELLO. */
export function makeNonce(): Bytes {
  return crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
}

/** What the client proves that it can sign. */
export function clientMessage(transcript: Bytes): Bytes {
  return message("client proof", transcript);
}

/** What the server proves that it can sign. */
export function serverMessage(transcript: Bytes, clientProof: Bytes): Bytes {
  return message("server proof", transcript, clientProof);
}

/** What is signed for one purpose can never be taken for another. */
export function message(purpose: string, ...parts: Uint8Array[]): Bytes {
  return concat([utf8(`limpet/1 ${purpose}\0`), ...parts]);
}
