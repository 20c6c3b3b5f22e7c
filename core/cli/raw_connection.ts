/**
 * What the raw protocol asks of those who use it, and a connection to a server.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { DEFAULT_ANSWER_MS, RawClient } from "../raw/client.ts";
import { formatTarget, isLoopback, type RawTarget } from "../target.ts";
import {
  type Arguments,
  type Flag,
  parseDuration,
  parseWait,
  usageError,
} from "./args.ts";
import { loadCodec, ownCodec } from "./codecs.ts";
import { Translation } from "./encoding.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime, StandardOutput } from "./runtime.ts";

/** Throws `invalid_argument` unless it is loopback, and meant. */
export function checkRawAddress(
  address: string,
  hostname: string,
  insecure: boolean,
): void {
  if (!isLoopback(hostname)) {
    throw usageError(
      `${address} is not on the loopback interface (127.0.0.1, ::1, ` +
        "localhost), and the raw protocol is refused anywhere else: it knows " +
        "no token, so whoever reaches it runs commands. Between machines use " +
        "limpet serve without --raw, and tcp:// to connect to it",
    );
  }
  if (insecure) return;
  throw usageError(
    `The raw protocol at ${address} has no authentication: every program and ` +
      "every user of this machine can run commands as whoever serves it. It " +
      "is a teaching aid; say --insecure if you know that",
  );
}

/** Throws `invalid_argument` for the first flag that was given and is not `allowed`. */
export function refuseFlags(
  args: Arguments,
  flags: readonly Flag[],
  allowed: readonly string[],
): void {
  for (const { name } of flags) {
    if (!args.has(name) || allowed.includes(name)) continue;
    throw usageError(
      `--${name} cannot be had with the raw protocol, which carries lines and ` +
        "their output, and nothing else",
    );
  }
}

/** What `exec` and `shell` take with `raw://`. */
export const RAW_CLIENT_FLAGS: readonly string[] = [
  "command",
  "timeout",
  "connect-timeout",
  "encoding",
  "insecure",
  "verbose",
  "quiet",
];

/** `--timeout`, in milliseconds: how long to wait for an answer. */
export function answerTimeout(args: Arguments): number {
  const value = args.value("timeout");
  return value === undefined
    ? DEFAULT_ANSWER_MS
    : parseDuration(value, "--timeout");
}

/** Connects. Throws as {@linkcode checkRawAddress} does, or `timed_out`. */
export async function openRaw(
  runtime: CliRuntime,
  target: RawTarget,
  args: Arguments,
  report: Reporter,
): Promise<RawClient> {
  const address = formatTarget(target);
  const timeout = args.value("connect-timeout") ?? "10s";
  const timeoutMs = parseWait(timeout, "--connect-timeout");
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), timeoutMs);
  try {
    const { hostname, port } = target;
    const duplex = await runtime.dial(
      { kind: "tcp", hostname, port },
      patience.signal,
    );
    report.debug(`connected to ${address}`);
    return new RawClient(duplex);
  } catch (error) {
    if (!patience.signal.aborted) throw error;
    throw new LimpetError(
      "timed_out",
      `Cannot connect to ${address} within ${timeout}`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Between the server's encoding, which `--encoding` alone can tell (UTF-8), and
 * ours. In a pipe answers stay as they are unless it was given.
 */
export async function rawTranslation(
  runtime: CliRuntime,
  args: Arguments,
): Promise<Translation> {
  const asked = args.value("encoding");
  return new Translation(
    await loadCodec(asked ?? "utf-8"),
    await ownCodec(runtime),
    asked !== undefined,
  );
}

/**
 * Shows what one `recv` brought. Where it is text, each piece is decoded for
 * itself, as the lesson's client does.
 */
export async function writeAnswer(
  to: StandardOutput,
  answer: Uint8Array,
  translation: Translation,
): Promise<void> {
  const filter = translation.output(to);
  try {
    await to.write(filter?.push(answer) ?? answer);
    const end = filter?.end();
    if (end !== undefined && end.byteLength > 0) await to.write(end);
  } catch (error) {
    const nobodyReads = error instanceof LimpetError &&
      error.code === "broken_pipe";
    if (!nobodyReads) throw error;
  }
}
