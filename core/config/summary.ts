/**
 * A configuration in words: who may do what.
 *
 * @module
 */

import { readTime } from "./formats.ts";
import type { IdentityEntry, ServerConfig } from "./types.ts";

/** One line for each identity. Shows no token. */
export function summaryOf(config: ServerConfig, now: number): string[] {
  const { identities } = config;
  if (identities === null) {
    return [
      "no identities: everyone who has the token file's token may connect, " +
      "and run anything as the server's user",
    ];
  }
  if (identities.length === 0) return ["nobody may connect"];
  const width = Math.max(...identities.map(({ name }) => name.length));
  return identities.map((identity) =>
    `${identity.name.padEnd(width)}  ${describeIdentity(identity, now)}`
  );
}

function describeIdentity(identity: IdentityEntry, now: number): string {
  const { token, from, expires } = identity;
  const kind = token === undefined ? "key" : "token";
  const where = from === undefined
    ? "from everywhere"
    : `from ${from.join(", ")}`;
  return [
    kind.padEnd(5),
    where,
    ...expires === undefined ? [] : [
      `${isExpired(identity, now) ? "EXPIRED" : "expires"} ${expires}`,
    ],
    "runs anything as the server's user",
  ].join("  ");
}

/** Whether the identity's time is over. */
export function isExpired({ expires }: IdentityEntry, now: number): boolean {
  return expires !== undefined && (readTime(expires) ?? -Infinity) <= now;
}
