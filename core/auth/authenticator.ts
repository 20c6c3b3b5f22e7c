/**
 * How a server finds out who a client is.
 *
 * @module
 */

import type { Proven } from "../identity.ts";
import type { Bytes } from "./base64url.ts";
import { clientMessage, serverMessage } from "./proof.ts";
import { digitsOf } from "./key_digits.ts";
import { TokenKey } from "./token.ts";

/** What a client says of itself, and what it has to be true of. */
export interface Claim {
  /** `token:…` or `ed25519:…`; undefined if the client names none. */
  readonly key: string | undefined;
  /** 32 bytes for a token, 64 for a key pair: not checked yet. */
  readonly proof: Bytes;
  readonly transcript: Bytes;
  /** Where the client is, as `Duplex.peer` has it. */
  readonly peer: string;
}

/** The client is who it says, and this is the server's own proof. */
export interface Admission extends Proven {
  readonly proof: Bytes;
}

/** It is not; the reason is for the server's log, and never told the client. */
export interface Denial {
  readonly denied: string;
}

/**
 * Decides about claims. A claim that is denied takes as long as one that is
 * not, so that nobody can find out in that way who is known.
 */
export interface Authenticator {
  /**
   * The server's own public key (`ed25519:…`), which it shows to clients that
   * have a key pair. Without one they cannot come.
   */
  readonly hostKey?: string;
  /**
   * Called before a client that has a key pair is shown `hostKey`, so that one
   * which has only just become needed is there. Never rejects.
   */
  prepare?(): Promise<void>;
  authenticate(claim: Claim): Promise<Admission | Denial>;
}

/** Who has the one token is `default`. Rejects if the token is too short. */
export async function tokenAuthenticator(
  token: string,
): Promise<Authenticator> {
  const key = await TokenKey.from(token);
  const shown = digitsOf(await key.id);
  return {
    async authenticate({ proof, transcript }) {
      // Each is a turn of another thread: they take it together. Nobody sees
      // ours if theirs is wrong.
      const [right, ours] = await Promise.all([
        key.verify(proof, clientMessage(transcript)),
        key.sign(serverMessage(transcript, proof)),
      ]);
      if (!right) return { denied: "the proof of the token is wrong" };
      const identity = { name: "default" };
      return { identity, key: shown, isSole: true, proof: ours };
    },
  };
}
