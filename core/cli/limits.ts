/**
 * The limits that have flags.
 *
 * @module
 */

import type { Limits } from "../limits.ts";
import type { ServerLimits } from "../server_limits.ts";
import {
  type Arguments,
  parseCount,
  parseDuration,
  parseWait,
} from "./args.ts";

/** Those of `limpet serve`; what no flag names is left out. */
export function serverLimits(args: Arguments): Partial<ServerLimits> {
  return present<ServerLimits>({
    maxConnections: read(args, "max-connections", parseCount),
    maxSessions: read(args, "max-sessions", parseCount),
    maxCommands: read(args, "max-commands", parseCount),
    maxCommandsPerIdentity: read(args, "max-commands-per-identity", parseCount),
    maxTotalCommands: read(args, "max-total-commands", parseCount),
    handshakeTimeoutMs: read(args, "handshake-timeout", parseWait),
    graceMs: read(args, "grace", parseTimeOrNone),
    idleTimeoutMs: read(args, "idle-timeout", parseTimeOrNever),
    ...clientLimits(args),
  });
}

/** Those of the commands that connect. */
export function clientLimits(args: Arguments): Partial<Limits> {
  return present<Limits>({
    keepaliveMs: read(args, "keepalive", parseTimeOrNever),
  });
}

/**
 * How long to look for another connection: undefined for as long as the server
 * waits, 0 for not at all.
 */
export function resumeTimeout(args: Arguments): number | undefined {
  return read(args, "resume-timeout", parseTimeOrNone);
}

function read(
  args: Arguments,
  name: string,
  parse: (text: string, flag: string) => number,
): number | undefined {
  const text = args.value(name);
  return text === undefined ? undefined : parse(text, `--${name}`);
}

/** A time; `0` is none at all. */
function parseTimeOrNone(text: string, flag: string): number {
  return text === "0" ? 0 : parseDuration(text, flag);
}

/** A time; `0` and `off` are never. */
function parseTimeOrNever(text: string, flag: string): number {
  if (text === "0" || text === "off") return Infinity;
  return parseDuration(text, flag) || Infinity;
}

function present<T>(limits: { [K in keyof T]?: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(
    Object.entries(limits).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}
