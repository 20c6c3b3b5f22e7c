/**
 * What is written down of a job, so that a server that restarts finds it.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { CommandStatus } from "../exec/exit.ts";
import { readExit } from "../exec/exit.ts";
import type { OnDisconnect } from "../exec/request.ts";
import { Fields } from "../frame/control.ts";
import { textsIn } from "../frame/lists.ts";
import { type Fingerprint, FINGERPRINT_FIELDS } from "./fingerprint.ts";
import type { StreamEnd } from "./spool_writer.ts";

/** A record may be so long, in bytes. */
export const MAX_RECORD_BYTES = 65_536;

/** One stream of a job that has ended. */
export interface StreamRecord extends StreamEnd {
  /** What the command wrote, what was dropped included. */
  readonly bytes: number;
}

/** See the module's description. */
export interface JobRecord {
  readonly id: string;
  /** The name of the identity whose job it is. */
  readonly identity: string;
  /** What they proved it with: `Proven.key`. Null where that is not known. */
  readonly key: string | null;
  readonly onDisconnect: OnDisconnect;
  /** The command, cut if it is long. */
  readonly argv: readonly string[];
  readonly shell: boolean;
  readonly fingerprint: Fingerprint;
  /** In milliseconds since 1970. */
  readonly startedAt: number;
  readonly pid: number | null;
  /** Null while it runs. */
  readonly endedAt: number | null;
  /** Null while it runs, and where nobody saw its end. */
  readonly status: CommandStatus | null;
  /** Those that it has, of `stdout` and `stderr`. */
  readonly streams: readonly string[];
  /** Null while it is open. */
  readonly stdout: StreamRecord | null;
  readonly stderr: StreamRecord | null;
  /** What went wrong with its spool, in words; null if nothing did. */
  readonly problem: string | null;
}

const VERSION = 1;

/** The text of the record's file. */
export function encodeRecord(record: JobRecord): string {
  const { status } = record;
  const written = {
    version: VERSION,
    ...record,
    status: status && {
      code: status.code,
      signal: status.signal,
      reason: status.reason ?? undefined,
    },
  };
  return `${JSON.stringify(written)}\n`;
}

/** Reads one. Throws a `LimpetError` that says what is wrong with it. */
export function decodeRecord(text: string): JobRecord {
  const fields = parse(text);
  if (fields.integer("version") !== VERSION) {
    throw new LimpetError("unsupported", "It was written by another version");
  }
  const or = <T>(key: string, read: () => T) =>
    fields.get(key) === null ? null : read();
  const onDisconnect = fields.text("onDisconnect");
  if (onDisconnect !== "keep" && onDisconnect !== "detach") {
    throw fields.wrong("onDisconnect", "keep or detach");
  }
  const prints = fields.object("fingerprint");
  return {
    id: fields.text("id"),
    identity: fields.text("identity"),
    key: fields.has("key") ? or("key", () => fields.text("key", 100)) : null,
    onDisconnect,
    argv: textsIn(fields, "argv"),
    shell: fields.boolean("shell", false),
    fingerprint: Object.fromEntries(
      FINGERPRINT_FIELDS.map((name) => [name, prints.text(name)]),
    ) as Fingerprint,
    startedAt: fields.integer("startedAt"),
    pid: or("pid", () => fields.integer("pid")),
    endedAt: or("endedAt", () => fields.integer("endedAt")),
    status: or("status", () => readExit(fields.object("status"))),
    streams: textsIn(fields, "streams"),
    stdout: or("stdout", () => readStream(fields.object("stdout"))),
    stderr: or("stderr", () => readStream(fields.object("stderr"))),
    problem: or("problem", () => fields.message("problem")),
  };
}

function parse(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return new Fields(value as Record<string, unknown>, "the record");
  }
  throw new LimpetError("protocol_error", "It is no JSON object");
}

function readStream(fields: Fields): StreamRecord {
  const stream = {
    bytes: fields.integer("bytes"),
    heldOpen: fields.boolean("heldOpen", false),
  };
  if (!fields.has("cut")) return stream;
  const cut = fields.object("cut");
  return {
    ...stream,
    cut: { code: cut.text("code", 100), message: cut.message("message") },
  };
}

/** Why nobody knows what became of a job: what started it ended before it. */
export function serverRestarted(): LimpetError {
  return new LimpetError(
    "connection_lost",
    "What became of the job is unknown: the server restarted while it ran, or " +
      "lost what had started it",
  );
}
