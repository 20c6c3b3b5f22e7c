/**
 * Tokens: secrets that a client and its server share.
 *
 * @module
 */

import { utf8 } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import { type Bytes, toBase64Url } from "./base64url.ts";
import type { ClientProof, Credential } from "./credential.ts";
import { clientMessage, message, serverMessage } from "./proof.ts";

/** Shortest token accepted, in bytes: fewer can be guessed offline. */
export const MIN_TOKEN_BYTES = 16;

/** Bytes of a token's digest that name it to the server. */
const ID_BYTES = 12;

/** A shared secret, ready for proving; its bytes cannot be read out again. */
export class TokenKey implements Credential {
  /** Tells a server with several tokens which it is, and nobody what it is. */
  readonly id: Promise<string>;
  readonly #key: CryptoKey;

  private constructor(key: CryptoKey) {
    this.#key = key;
    // Known by the time that there is a connection.
    this.id = this.sign(message("token id")).then((digest) =>
      `token:${toBase64Url(digest.subarray(0, ID_BYTES))}`
    );
  }

  /** Throws `invalid_argument` for a token that is too short. Never shows it. */
  static async from(token: string): Promise<TokenKey> {
    const bytes = utf8(token);
    if (bytes.byteLength < MIN_TOKEN_BYTES) {
      throw new LimpetError(
        "invalid_argument",
        `Token has ${bytes.byteLength} of the ${MIN_TOKEN_BYTES} bytes that it ` +
          "needs at least",
      );
    }
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, [
      "sign",
      "verify",
    ]);
    return new TokenKey(key);
  }

  async prove(transcript: Bytes): Promise<ClientProof> {
    const proof = await this.sign(clientMessage(transcript));
    const expected = serverMessage(transcript, proof);
    return {
      key: await this.id,
      proof,
      verifyServer: (theirs) => this.verify(theirs, expected),
    };
  }

  /** A proof of the token over these bytes. */
  async sign(bytes: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign("HMAC", this.#key, bytes));
  }

  /** Whether it is that. WebCrypto's HMAC compares in constant time. */
  verify(proof: Bytes, bytes: Bytes): Promise<boolean> {
    return crypto.subtle.verify("HMAC", this.#key, proof, bytes);
  }
}

/** A fresh token of 256 bits, in base64url. */
export function makeToken(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}
