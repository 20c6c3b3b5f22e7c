/**
 * A configuration in words: who may do what.
 *
 * @module
 */

import { counted } from "../counted.ts";
import type { Policy } from "../policy/policy.ts";
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
    describePolicy(identity.policy),
  ].join("  ");
}

/** What it comes to; all of it is in the file. */
function describePolicy(policy: Policy | undefined): string {
  if (policy === undefined) return "runs anything as the server's user";
  const { commands = [], shell, forced, runAs } = policy;
  const what = forced !== undefined
    ? "one forced command"
    : shell
    ? "anything in the shell"
    : commands.length === 0
    ? "nothing"
    : `what fits ${counted(commands.length, "pattern")}`;
  return `runs ${what} as ${runAs ?? "the server's user"}`;
}

/** Whether the identity's time is over. */
export function isExpired({ expires }: IdentityEntry, now: number): boolean {
  return expires !== undefined && (readTime(expires) ?? -Infinity) <= now;
}
