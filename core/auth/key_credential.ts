/**
 * A key pair as what a client proves itself with.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Bytes } from "./base64url.ts";
import type { ClientProof, Credential, ServerClaim } from "./credential.ts";
import { checkPublicKey, type KeyPair, verifySignature } from "./key_pair.ts";
import { clientMessage, serverMessage } from "./proof.ts";

/** In HELLO's `features`: this client signs, and asks for the host's key. */
export const ED25519 = "ed25519";

/** Whether a server's key is to be believed: throws if not. */
export type HostKeyCheck = (server: {
  readonly hostKey: string;
  readonly peer: string;
}) => void | Promise<void>;

/** See the module's description. */
export class KeyCredential implements Credential {
  readonly features: readonly string[] = [ED25519];
  readonly #pair: KeyPair;
  readonly #check: HostKeyCheck;

  /**
   * `host`: the server's public key (`ed25519:…`), or who decides about it. It is
   * asked before anything is signed: the signature covers the server's key, so
   * what is meant for one server is worth nothing to another.
   */
  constructor(pair: KeyPair, host: string | HostKeyCheck) {
    this.#pair = pair;
    this.#check = typeof host === "string"
      ? exactly(checkPublicKey(host))
      : host;
  }

  async prove(transcript: Bytes, server: ServerClaim): Promise<ClientProof> {
    const { hostKey, peer } = server;
    if (hostKey === undefined) {
      throw new LimpetError(
        "unauthenticated",
        `Server at ${peer} takes no key pairs: it wants a token`,
      );
    }
    await this.#check({ hostKey, peer });
    const proof = await this.#pair.sign(clientMessage(transcript));
    const expected = serverMessage(transcript, proof);
    return {
      key: this.#pair.publicKey,
      proof,
      verifyServer: (theirs) => verifySignature(hostKey, theirs, expected),
    };
  }
}

function exactly(expected: string): HostKeyCheck {
  return ({ hostKey, peer }) => {
    if (hostKey === expected) return;
    throw new LimpetError(
      "unauthenticated",
      `Server at ${peer} has the key ${printable(hostKey)}, not ${expected}: ` +
        "it is another server, or somebody is in between",
    );
  };
}
