/**
 * From the text of a configuration file to what it says.
 *
 * @module
 */

import type { Node } from "jsonc-parser";
import { readDuration } from "../duration.ts";
import type { ServerLimits } from "../server_limits.ts";
import { parseDocument } from "./document.ts";
import {
  policyOf,
  policyProblems,
  policyWarnings,
  type WrittenPolicy,
} from "./policy.ts";
import { property } from "./property.ts";
import type { Path, Problem } from "./problem.ts";
import { SERVER_SCHEMA } from "./schema.ts";
import type { TlsFiles } from "../tls_server.ts";
import type { AuditEntry, IdentityEntry, ServerConfig } from "./types.ts";
import { validate } from "./validate.ts";

/** What the text says, or everything that is wrong with it. */
export type Read =
  | {
    readonly config: ServerConfig;
    readonly problems: readonly [];
    /** What may stand there, and will not do what it looks like. */
    readonly warnings: readonly Problem[];
  }
  | { readonly config: null; readonly problems: readonly Problem[] };

/** Reads and checks the text of a configuration file. */
export async function readConfig(text: string): Promise<Read> {
  const { root, problem } = await parseDocument(text);
  if (root === null) return { config: null, problems: [problem] };
  const problems = validate(root, SERVER_SCHEMA);
  for (const key of ["name", "token", "publicKey"] as const) {
    problems.push(...repeated(root, key));
  }
  problems.push(...policyProblems(root), ...tlsProblems(root));
  if (problems.length > 0) return { config: null, problems };
  return {
    config: configOf(JSON.parse(text)),
    problems: [],
    warnings: policyWarnings(root),
  };
}

/** The file's object, as validated. */
interface Written {
  readonly identities?: readonly WrittenIdentity[] | null;
  readonly limits?: Readonly<Record<string, number | string>>;
  readonly audit?: AuditEntry;
  readonly tls?: TlsFiles;
  readonly drain?: string;
}

type WrittenIdentity = Omit<IdentityEntry, "policy" | "graceMs"> & {
  readonly policy?: WrittenPolicy;
  readonly grace?: string;
};

function configOf(
  { identities = null, limits = {}, audit, tls, drain }: Written,
): ServerConfig {
  const drainMs = drain === undefined ? null : readDuration(drain);
  return {
    identities: identities && identities.map(identityOf),
    limits: limitsOf(limits),
    ...(audit === undefined ? {} : { audit }),
    ...(tls === undefined ? {} : { tls }),
    ...(drainMs === null ? {} : { drainMs }),
  };
}

function identityOf(
  { policy, grace, ...identity }: WrittenIdentity,
): IdentityEntry {
  const graceMs = grace === undefined ? null : readDuration(grace);
  return {
    ...identity,
    ...(policy === undefined ? {} : { policy: policyOf(policy) }),
    ...(graceMs === null ? {} : { graceMs }),
  };
}

function limitsOf(
  written: NonNullable<Written["limits"]>,
): Partial<ServerLimits> {
  return Object.fromEntries(
    Object.entries(written).map(([name, value]) => [
      name,
      typeof value === "string" ? readLimit(value) : value,
    ]),
  );
}

function readLimit(text: string): number | null {
  return text === "off" ? Infinity : readDuration(text);
}

/** A certificate without its key, and the reverse. */
function tlsProblems(root: Node): Problem[] {
  const tls = property(root, "tls");
  if (tls === undefined) return [];
  const [cert, key] = [property(tls, "cert"), property(tls, "key")];
  if ((cert === undefined) === (key === undefined)) return [];
  const [missing, given] = cert === undefined
    ? ["cert", "key"]
    : ["key", "cert"];
  const message = `"${missing}" is missing, which goes with "${given}"`;
  return [{ offset: tls.offset, path: ["tls"], message }];
}

/** Identities that have what only one may have. Never shows a token. */
function repeated(
  root: Node,
  key: "name" | "token" | "publicKey",
): Problem[] {
  const problems: Problem[] = [];
  const first = new Map<unknown, Path>();
  const identities = property(root, "identities")?.children ?? [];
  identities.forEach((identity, i) => {
    const node = property(identity, key);
    if (node === undefined) return;
    const before = first.get(node.value);
    const path = ["identities", i, key];
    if (before === undefined) first.set(node.value, path);
    else {
      problems.push({
        offset: node.offset,
        path,
        message: `identities[${before[1]}] has the same ${key}`,
      });
    }
  });
  return problems;
}
