/**
 * From the flags of `token add` and `key add` to an identity.
 *
 * @module
 */

import { readExpiry } from "../config/expiry.ts";
import { defaultConfigPath, loadConfig } from "../config/load.ts";
import { pathText } from "../config/problem.ts";
import { readConfig } from "../config/read.ts";
import type { IdentityEntry, ServerConfig } from "../config/types.ts";
import { addIdentities } from "../config/update.ts";
import { LimpetError } from "../errors.ts";
import { configDirectory, readToken } from "../token_file.ts";
import { type Arguments, usageError } from "./args.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** The configuration file that the flags mean. */
export function configPath(runtime: CliRuntime, args: Arguments): string {
  return args.value("config") ?? defaultConfigPath(runtime);
}

/** What a file says; null without one. Throws if it has mistakes. */
export async function soundConfig(
  runtime: CliRuntime,
  path: string,
): Promise<ServerConfig | null> {
  const loaded = await loadConfig(runtime, path);
  if (loaded === null || loaded.config !== null) return loaded?.config ?? null;
  throw new LimpetError(
    "invalid_argument",
    `Cannot go by ${path}, which has mistakes: "limpet config check ${path}" ` +
      "tells them",
  );
}

/** Where a client's own key pair is unless another file is named. */
export function defaultIdentityPath(runtime: CliRuntime): string {
  const slash = runtime.isWindows ? "\\" : "/";
  return `${configDirectory(runtime)}${slash}identity_key`;
}

/** Adds the identity to the file that the flags mean, with what they say. */
export async function addIdentity(
  runtime: CliRuntime,
  args: Arguments,
  given: Pick<IdentityEntry, "name" | "token" | "publicKey">,
  report: Reporter,
): Promise<void> {
  const expires = args.value("expires");
  const from = args.values("from");
  const entry: IdentityEntry = {
    ...given,
    expires: expires === undefined ? undefined : expiryOf(expires),
    from: from.length === 0 ? undefined : from,
  };
  const { problems } = await readConfig(
    JSON.stringify({ identities: [entry] }),
  );
  if (problems.length > 0) {
    const [{ path, message }] = problems;
    throw usageError(`Cannot add it: ${pathText(path.slice(2))}: ${message}`);
  }
  const path = configPath(runtime, args);
  const added = await addIdentities(runtime, path, async (config) => [
    ...await tokenUntilNow(runtime, config),
    entry,
  ]);
  if (added.length > 1) {
    report.info(
      `the token that there was stays good: it is the identity "default" now`,
    );
  }
  const until = entry.expires === undefined ? "" : `, until ${entry.expires}`;
  report.info(`added ${entry.name} to ${path}${until}`);
}

/**
 * Where there are no identities, who has the token of the token file may come.
 * With the first identity that would end; so it becomes one itself.
 */
async function tokenUntilNow(
  runtime: CliRuntime,
  config: ServerConfig,
): Promise<IdentityEntry[]> {
  if (config.identities !== null) return [];
  const slash = runtime.isWindows ? "\\" : "/";
  const path = `${configDirectory(runtime)}${slash}token`;
  const token = await readToken(runtime, path);
  return token === null ? [] : [{ name: "default", token }];
}

function expiryOf(text: string): string {
  const { at, why } = readExpiry(text, Date.now());
  if (at !== null) return at;
  throw usageError(
    `--expires ${text} ${why}: write how long from now (12h, 30d, 2w), or a ` +
      "date to come (2027-01-31, 2027-01-31T12:00:00Z)",
  );
}
