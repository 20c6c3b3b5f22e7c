/**
 * Who may connect to `limpet serve`: by the configuration, or by the one token.
 *
 * @module
 */

import { findOrMakeHostKey } from "../config/host_key.ts";
import { LastUses } from "../config/last_use.ts";
import { LiveIdentities } from "../config/live.ts";
import { loadConfig, type Loaded } from "../config/load.ts";
import type { Told } from "../config/problem.ts";
import type { ServerConfig } from "../config/types.ts";
import { counted } from "../counted.ts";
import { LimpetError } from "../errors.ts";
import type { Server } from "../server.ts";
import { findOrMakeToken, findToken } from "../token_file.ts";
import { type Arguments, usageError } from "./args.ts";
import { configPath } from "./identity_flags.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** How often the configuration is looked at, and who must go is sent away. */
const LOOK_MS = 1_000;

/** See the module's description. */
export interface Door {
  readonly authenticator: LiveIdentities;
  /** What the configuration said at the start, if there is one. */
  readonly config: ServerConfig | null;
  /** `token in FILE` or `2 identities in FILE`. */
  readonly words: string;
  /** Ends the sessions of those who may no longer come, from now on. */
  keep(server: Server): void;
  /** Writes down what there is to write. */
  close(): Promise<void>;
}

/**
 * `examine` looks at what the configuration names outside of itself, whenever it
 * is read. Throws `invalid_argument` for mistakes.
 */
export async function openDoor(
  runtime: CliRuntime,
  args: Arguments,
  report: Reporter,
  examine: (loaded: Loaded) => Promise<Told>,
): Promise<Door> {
  const path = configPath(runtime, args);
  const config = await startConfig(runtime, args, path, report);
  const tokenFile = args.value("token-file");
  if (config?.identities && tokenFile !== undefined) {
    throw usageError(
      `--token-file and the identities in ${path} both say who may connect: ` +
        "leave out one, or name another file with --config",
    );
  }
  let source: string | null = null;
  const token = async () => {
    const found = source === null
      ? await findOrMakeToken(runtime, tokenFile)
      : await findToken(runtime, tokenFile);
    if (found.made) report.info(`made a new token in ${found.source}`);
    source = found.source;
    return found;
  };
  const uses = new LastUses(
    runtime.files,
    path,
    () => named() ?? [],
    (message) => report.warn(message),
  );
  const named = () => authenticator.config?.identities?.map(({ name }) => name);
  const authenticator = await LiveIdentities.open({
    place: runtime,
    path,
    token,
    examine,
    warn: (message) => report.warn(message),
    hostKey: () => findOrMakeHostKey(runtime),
    tell: (message) => report.info(message),
    used: (name, peer) => {
      // Of the one token there is nothing to tell apart.
      if (named() !== undefined) uses.record(name, peer);
    },
  });
  if (config?.identities?.length === 0) {
    report.warn(`nobody may connect: ${path} has no identities`);
  }
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    authenticator,
    config,
    words: source === null
      ? countOf(config?.identities?.length ?? 0, path)
      : `token in ${source}`,
    keep(server) {
      timer = setInterval(async () => {
        await authenticator.look();
        await server.endSessions((identity) => authenticator.whyGone(identity));
      }, LOOK_MS);
    },
    async close() {
      clearInterval(timer);
      await uses.flush();
    },
  };
}

/** Tells every mistake in its own line. */
async function startConfig(
  runtime: CliRuntime,
  args: Arguments,
  path: string,
  report: Reporter,
): Promise<ServerConfig | null> {
  const loaded = await loadConfig(runtime, path);
  if (loaded === null) {
    if (!args.has("config")) return null;
    throw new LimpetError(
      "invalid_argument",
      `Cannot serve by ${path}: there is no such file`,
    );
  }
  if (loaded.config !== null) return loaded.config;
  for (const problem of loaded.problems) report.error(problem);
  await report.flush();
  throw new LimpetError(
    "invalid_argument",
    `Cannot serve by ${path}: it has mistakes (limpet help config)`,
  );
}

function countOf(count: number, path: string): string {
  return `${counted(count, "identity", "identities")} in ${path}`;
}
