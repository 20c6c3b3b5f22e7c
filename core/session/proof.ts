/**
 * The mutual proof of the token. PROTOCOL.md, "Handshake".
 *
 * @module
 */

import { LimpetError } from "../errors.ts";

/** Shortest token accepted, in bytes: fewer can be guessed offline. */
export const MIN_TOKEN_BYTES = 16;

/** Bytes of a nonce. */
export const NONCE_BYTES = 32;

const encoder = new TextEncoder();
const CLIENT_LABEL = "limpet/1 client proof";
const SERVER_LABEL = "limpet/1 server proof";

/** A shared secret, ready for proving; its bytes cannot be read out again. */
export class TokenKey {
  readonly #key: CryptoKey;

  private constructor(key: CryptoKey) {
    this.#key = key;
  }

  /** Throws `invalid_argument` for a token that is too short. Never shows it. */
  static async from(token: string): Promise<TokenKey> {
    const bytes = encoder.encode(token);
    if (bytes.byteLength < MIN_TOKEN_BYTES) {
      throw new LimpetError(
        "invalid_argument",
        `Token has ${bytes.byteLength} bytes, at least ${MIN_TOKEN_BYTES} ` +
          "are needed",
      );
    }
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, [
      "sign",
      "verify",
    ]);
    return new TokenKey(key);
  }

  clientProof(transcript: Bytes): Promise<Bytes> {
    return this.#sign(message(CLIENT_LABEL, transcript));
  }

  serverProof(transcript: Bytes, clientProof: Bytes): Promise<Bytes> {
    return this.#sign(message(SERVER_LABEL, transcript, clientProof));
  }

  // WebCrypto's HMAC verify compares in constant time.

  verifyClient(proof: Bytes, transcript: Bytes): Promise<boolean> {
    const signed = message(CLIENT_LABEL, transcript);
    return crypto.subtle.verify("HMAC", this.#key, proof, signed);
  }

  verifyServer(
    proof: Bytes,
    transcript: Bytes,
    clientProof: Bytes,
  ): Promise<boolean> {
    const signed = message(SERVER_LABEL, transcript, clientProof);
    return crypto.subtle.verify("HMAC", this.#key, proof, signed);
  }

  async #sign(bytes: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign("HMAC", this.#key, bytes));
  }
}

/** Bytes that WebCrypto takes: not over a `SharedArrayBuffer`. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** SHA-256 over both HELLO frames, headers included. */
export async function transcriptOf(
  clientHello: Uint8Array,
  serverHello: Uint8Array,
): Promise<Bytes> {
  const both = join(clientHello, serverHello);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", both));
}

/** Fresh random bytes for a HELLO. */
export function makeNonce(): Bytes {
  return crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
}

/** A fresh token of 256 bits, in base64url. */
export function makeToken(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}

/** RFC 4648 section 5, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The bytes, or null if it is not base64url of exactly `length` bytes. */
export function fromBase64Url(text: string, length: number): Bytes | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  // Several texts decode to the same bytes; only one of them is canonical.
  return bytes.byteLength === length && toBase64Url(bytes) === text
    ? bytes
    : null;
}

function message(label: string, ...parts: Uint8Array[]): Bytes {
  return join(encoder.encode(label), Uint8Array.of(0), ...parts);
}

function join(...parts: Uint8Array[]): Bytes {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}
