/**
 * What a client proves itself with, and knows its server by.
 *
 * @module
 */

import type { Bytes } from "./base64url.ts";

/** What is known of the server when a client has to prove itself. */
export interface ServerClaim {
  /** From its HELLO: `ed25519:…`. Proved only later, by the server's proof. */
  readonly hostKey: string | undefined;
  /** Where it is, for messages. */
  readonly peer: string;
}

/** The client's proof, and how to tell whether the server's is right. */
export interface ClientProof {
  /** Whose proof it is, where the server may have several to choose from. */
  readonly key?: string;
  readonly proof: Bytes;
  verifyServer(proof: Bytes): Promise<boolean>;
}

/** A token (`TokenKey`) or a key pair (`KeyCredential`). */
export interface Credential {
  /** For the `features` of HELLO: what the server has to understand. */
  readonly features?: readonly string[];
  /** Throws if this is not a server to prove anything to. */
  prove(transcript: Bytes, server: ServerClaim): Promise<ClientProof>;
}
