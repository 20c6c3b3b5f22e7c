/**
 * A server that knows several: each with a token or a key pair of its own.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Identity } from "../identity.ts";
import type {
  Admission,
  Authenticator,
  Claim,
  Denial,
} from "./authenticator.ts";
import { digitsOf } from "./key_digits.ts";
import { checkPublicKey, type KeyPair, verifySignature } from "./key_pair.ts";
import { clientMessage, serverMessage } from "./proof.ts";
import { makeToken, TokenKey } from "./token.ts";

/** One that a server knows: exactly one of `token` and `publicKey`. */
export interface KnownIdentity extends Identity {
  /** A secret that both sides share, at least 16 bytes. */
  readonly token?: string;
  /** `ed25519:…`; the server needs a host key then. */
  readonly publicKey?: string;
  /**
   * Asked when the proof was right: why this client is not to be let in all the
   * same (expired, from a wrong address), or null.
   */
  readonly refuse?: (peer: string) => string | null;
}

interface Entry {
  readonly identity: KnownIdentity;
  readonly token: TokenKey | null;
}

/** See the module's description. */
export class Identities implements Authenticator {
  readonly #host: KeyPair | undefined;
  readonly #entries: ReadonlyMap<string, Entry>;
  /** Stands in for tokens that nobody has, so that those take as long. */
  readonly #nobody: TokenKey;

  private constructor(
    host: KeyPair | undefined,
    entries: ReadonlyMap<string, Entry>,
    nobody: TokenKey,
  ) {
    this.#host = host;
    this.#entries = entries;
    this.#nobody = nobody;
  }

  /**
   * Throws `invalid_argument` for a token that is too short, a public key that
   * is none, and for a token, key or name that two of them have.
   */
  static async from(
    known: readonly KnownIdentity[],
    host?: KeyPair,
  ): Promise<Identities> {
    const entries = new Map<string, Entry>();
    const names = new Set<string>();
    for (const identity of known) {
      const { name, token, publicKey } = identity;
      if (names.has(name)) throw twice(name, "there already");
      names.add(name);
      if ((token === undefined) === (publicKey === undefined)) {
        throw new LimpetError(
          "invalid_argument",
          `Identity "${name}" needs either a token or a public key`,
        );
      }
      const secret = token === undefined ? null : await TokenKey.from(token);
      const key = await secret?.id ?? checkPublicKey(publicKey!);
      const other = entries.get(key);
      if (other !== undefined) {
        throw twice(name, `known by the same key as "${other.identity.name}"`);
      }
      entries.set(key, { identity, token: secret });
    }
    return new Identities(host, entries, await TokenKey.from(makeToken()));
  }

  get hostKey(): string | undefined {
    return this.#host?.publicKey;
  }

  async authenticate(claim: Claim): Promise<Admission | Denial> {
    const { key, transcript, proof, peer } = claim;
    if (key === undefined) {
      return { denied: "it does not say whose proof it is" };
    }
    const entry = this.#entries.get(key);
    const signed = clientMessage(transcript);
    const toSign = serverMessage(transcript, proof);
    const token = entry?.token ?? this.#nobody;
    // Each is a turn of another thread: they take it together. Nobody sees ours
    // if theirs is wrong. A public key checks its own signature, whether it is
    // known or not.
    const [right, ours] = await Promise.all(
      key.startsWith("ed25519:")
        ? [verifySignature(key, proof, signed), this.#host?.sign(toSign)]
        : [token.verify(proof, signed), token.sign(toSign)],
    );
    if (entry === undefined) return { denied: `nobody here has ${key}` };
    const { identity } = entry;
    const denied = right
      ? identity.refuse?.(peer) ?? null
      : "the proof is wrong";
    if (denied !== null) return { denied: `as "${identity.name}": ${denied}` };
    if (ours === undefined) return { denied: "the server has no host key" };
    return { identity, key: digitsOf(key), proof: ours };
  }
}

function twice(name: string, why: string): LimpetError {
  return new LimpetError("invalid_argument", `Identity "${name}" is ${why}`);
}
