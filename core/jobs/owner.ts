/**
 * Whose a job is: not of a name alone, which may be revoked and given to somebody
 * else, but of the token or key pair that it was started with.
 *
 * @module
 */

import type { Proven } from "../identity.ts";

/** See the module's description. */
export interface Owner {
  /** Of the identity. */
  readonly name: string;
  /** As `Proven.key`; null if it is a matter of the name alone. */
  readonly key: string | null;
}

/** The owner of what a client starts. */
export function ownerOf({ identity, key }: Proven): Owner {
  return { name: identity.name, key: key ?? null };
}

/**
 * Whether a client may know of what is somebody's. Where an authenticator names no
 * keys, or there is one token for all, the name tells enough. What was written down
 * without a key, by whoever had the name then, is nobody's who comes with one.
 */
export function isTheirs(owner: Owner, client: Proven): boolean {
  const { identity, key, isSole } = client;
  if (owner.name !== identity.name) return false;
  return isSole || key === undefined || owner.key === key;
}
