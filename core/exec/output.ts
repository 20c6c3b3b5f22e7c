/**
 * A command's whole output in memory, within a bound.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import {
  asLimpetError,
  type CommandFacts,
  type ErrorCode,
  LimpetError,
} from "../errors.ts";
import { encodeText, type TextCodec } from "../text/mod.ts";
import type { RemoteCommand } from "./client.ts";
import type { CommandStatus } from "./exit.ts";

/** Bytes of stdout, and as many of stderr, that `output()` keeps by default. */
export const DEFAULT_MAX_OUTPUT_BYTES = 67_108_864;

/** What a command can be fed. */
export type Input = string | Uint8Array | ReadableStream<Uint8Array>;

/** Input as the command gets it: text is written in its encoding. */
export type RawInput = Exclude<Input, string>;

/** Throws as `encodeText` does. */
export function rawInput(
  input: Input | undefined,
  codec: () => TextCodec,
): RawInput | undefined {
  return typeof input === "string" ? encodeText(input, codec()) : input;
}

/** A command as a message names it: quoted, and cut if it is long. */
export function commandName(command: string): string {
  return JSON.stringify(
    command.length > 80 ? `${command.slice(0, 79)}…` : command,
  );
}

/** How a command ended, and what it wrote. */
export interface Output extends CommandStatus {
  readonly stdout: Uint8Array;
  /** Empty with `merge`. */
  readonly stderr: Uint8Array;
  /** More was written than `maxBytes`; what came first is here. */
  readonly truncated: boolean;
  /** See `RemoteCommand.heldOpen`. */
  readonly heldOpen: boolean;
  /** What the server called the command; null if it did not say. */
  readonly jobId: string | null;
  /** See `RemoteCommand.dropped`; 0 unless it was to outlive us. */
  readonly dropped: number;
}

/** What is collected and fed. */
export interface CollectOptions {
  readonly input?: RawInput;
  /** Of each stream. Default 64 MiB. What comes later is read and dropped. */
  readonly maxBytes?: number;
}

/**
 * Feeds a command and collects what it writes, to its end. Resolves whenever
 * the command ended by itself, whatever its code. Rejects when it did not start,
 * was ended by us, or was lost; the error then holds what had arrived.
 */
export async function collectOutput(
  command: RemoteCommand,
  name: string,
  piped: { stdout: boolean; stderr: boolean },
  options: CollectOptions,
): Promise<Output> {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const collect = (wanted: boolean, get: () => ReadableStream<Uint8Array>) =>
    wanted ? collectStream(get(), maxBytes) : Promise.resolve(nothing());
  const [fed, stdout, stderr, ended] = await Promise.all([
    feed(command, options.input),
    collect(piped.stdout, () => command.stdout),
    collect(piped.stderr, () => command.stderr),
    command.status.then((status) => ({ status }), (error) => ({ error })),
  ]);
  const { jobId, dropped } = command;
  const facts = { stdout: stdout.bytes, stderr: stderr.bytes, jobId };
  if ("error" in ended) throw withFacts(ended.error, name, facts);
  const { status } = ended;
  const lost = stdout.error ?? stderr.error;
  const known = { ...statusFacts(status), ...facts, complete: lost === null };
  // Why it was ended says more than what that did to its output.
  if (status.reason !== null) throw endedByUs(status, name, known, fed);
  if (lost !== null) throw withFacts(lost, name, known);
  return {
    ...status,
    ...facts,
    truncated: stdout.truncated || stderr.truncated,
    heldOpen: command.heldOpen,
    dropped,
  };
}

/** The error for a command that was ended rather than ending by itself. */
export function endedByUs(
  status: CommandStatus,
  name: string,
  facts: CommandFacts,
  cause: unknown,
): LimpetError {
  const error = (code: ErrorCode, what: string) =>
    new LimpetError(code, `Command ${name} was ${what}`, {
      facts,
      cause: cause ?? undefined,
    });
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  switch (status.reason) {
    case "timed_out":
      return error("timed_out", "ended because its time was up");
    case "stdin_aborted":
      return error("cancelled", `ended because its input broke off${detail}`);
    case "shutting_down":
      return error("shutting_down", "ended because the server shuts down");
    case "cancelled":
      return error("cancelled", "cancelled");
    default:
      return error("limit_exceeded", `ended by the server: ${status.reason}`);
  }
}

/** The fields of an error that tell how the command ended. */
export function statusFacts(
  status: CommandStatus & { readonly jobId?: string | null },
): CommandFacts {
  return {
    jobId: status.jobId,
    exitCode: status.code,
    signal: status.signal,
    reason: status.reason,
    timedOut: status.reason === "timed_out",
    isCanceled: status.reason === "cancelled",
  };
}

interface Collected {
  readonly bytes: Uint8Array;
  readonly truncated: boolean;
  readonly error: LimpetError | null;
}

/** Bytes of its own: who gets them may give their buffer to somebody else. */
const nothing = (): Collected => ({
  bytes: concat([]),
  truncated: false,
  error: null,
});

async function collectStream(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Collected> {
  const pieces: Uint8Array[] = [];
  let room = maxBytes;
  let truncated = false;
  let error: LimpetError | null = null;
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (value.byteLength > room) truncated = true;
      if (room > 0) pieces.push(value.subarray(0, room));
      room -= Math.min(room, value.byteLength);
    }
  } catch (thrown) {
    error = asLimpetError(thrown, "connection_lost", "Reading output");
  }
  return { bytes: concat(pieces), truncated, error };
}

/** Feeds a command. Resolves to what broke the input off, if anything did. */
export async function feed(
  command: RemoteCommand,
  input: RawInput | undefined,
): Promise<unknown> {
  if (input === undefined) return undefined;
  const stream = input instanceof ReadableStream ? input : streamOf(input);
  const reader = stream.getReader();
  const writer = command.stdin.getWriter();
  // A command may end without reading all of its input, and a lost connection
  // shows in its status: what breaks on that side is no error of the input.
  writer.closed.catch((error) => reader.cancel(error).catch(() => {}));
  for (;;) {
    let chunk: ReadableStreamReadResult<Uint8Array>;
    try {
      chunk = await reader.read();
    } catch (error) {
      await writer.abort(error).catch(() => {});
      return error;
    }
    try {
      if (chunk.done) {
        await writer.close();
        return undefined;
      }
      await writer.write(chunk.value);
    } catch (error) {
      await reader.cancel(error).catch(() => {});
      return isBadChunk(error) ? error : undefined;
    }
  }
}

function isBadChunk(error: unknown): boolean {
  return error instanceof LimpetError && error.code === "invalid_argument";
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

function withFacts(
  error: unknown,
  name: string,
  facts: CommandFacts,
): LimpetError {
  const known = asLimpetError(error, "connection_lost", `Command ${name}`);
  return new LimpetError(known.code, known.message, { cause: known, facts });
}
