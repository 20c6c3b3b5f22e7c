/**
 * The request to run a command, as it crosses the wire in OPEN.
 * PROTOCOL.md, "Exec".
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { decodeControl, type Fields } from "../frame/control.ts";
import { textMapIn, textsIn } from "../frame/lists.ts";
import { printable } from "../printable.ts";
import { checkJobId } from "./job_id.ts";
import { isTraceparent } from "./traceparent.ts";

/** SIGTERM to SIGKILL, unless the caller says otherwise. */
export const DEFAULT_KILL_AFTER_MS = 5_000;

/** How long output may outlive its command, unless the caller says otherwise. */
export const DEFAULT_DRAIN_MS = 1_000;

/** Longest time a timer can hold: 2^31 - 1 ms, near 25 days. */
export const MAX_TIMER_MS = 0x7fff_ffff;

/**
 * What becomes of a command when the client that started it goes: it ends; or it
 * goes on as a job, which waits when nobody takes what it writes (`keep`), or of
 * which the middle of its output is dropped then (`detach`).
 */
export type OnDisconnect = "kill" | "keep" | "detach";

/** Exactly one of `argv` and `line` is there. */
export interface ExecRequest {
  readonly argv?: readonly string[];
  readonly line?: string;
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly merge: boolean;
  /** How the process gets its text; by default as the server's console has it. */
  readonly encoding?: string;
  readonly timeoutMs?: number;
  readonly killAfterMs: number;
  readonly drainMs: number;
  /** The client's place in its trace: W3C Trace Context. */
  readonly traceparent?: string;
  /** What it is to be called; by default the server finds a name. */
  readonly jobId?: string;
  /** Default `kill`. */
  readonly onDisconnect?: OnDisconnect;
}

/** The body of OPEN. */
export function encodeRequest(request: ExecRequest): object {
  return { kind: "exec", ...request };
}

/** Reads OPEN. Throws `invalid_argument` or `unsupported` for a bad one. */
export function decodeRequest(payload: Uint8Array): ExecRequest {
  const fields = decodeControl(payload, "OPEN");
  return readingOpen(() => {
    const kind = fields.text("kind");
    if (kind === "exec") return readRequest(fields);
    throw new LimpetError(
      "unsupported",
      `Server knows no channels of kind "${printable(kind)}"`,
    );
  });
}

/** What breaks a rule of OPEN is refused, and the session goes on. */
export function readingOpen<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof LimpetError && error.code === "protocol_error") {
      throw new LimpetError("invalid_argument", error.message);
    }
    throw error;
  }
}

/** Reads OPEN of the kind `exec`. Throws `invalid_argument` for a bad one. */
export function readRequest(fields: Fields): ExecRequest {
  const milliseconds = (key: string) =>
    fields.has(key) ? fields.integer(key, { max: MAX_TIMER_MS }) : undefined;
  const request = {
    argv: fields.has("argv") ? textsIn(fields, "argv") : undefined,
    line: fields.has("line") ? fields.text("line") : undefined,
    cwd: fields.has("cwd") ? fields.text("cwd") : undefined,
    env: fields.has("env") ? textMapIn(fields, "env") : {},
    stdin: fields.boolean("stdin", false),
    stdout: fields.boolean("stdout", true),
    stderr: fields.boolean("stderr", true),
    merge: fields.boolean("merge", false),
    encoding: fields.has("encoding") ? fields.text("encoding", 64) : undefined,
    timeoutMs: milliseconds("timeoutMs"),
    killAfterMs: milliseconds("killAfterMs") ?? DEFAULT_KILL_AFTER_MS,
    drainMs: milliseconds("drainMs") ?? DEFAULT_DRAIN_MS,
    traceparent: readTraceparent(fields),
    jobId: fields.has("jobId") ? fields.text("jobId") : undefined,
    onDisconnect: readOnDisconnect(fields),
  };
  checkRequest(request);
  if (request.jobId !== undefined) checkJobId(request.jobId);
  return request;
}

function readOnDisconnect(fields: Fields): OnDisconnect | undefined {
  if (!fields.has("onDisconnect")) return undefined;
  const value = fields.text("onDisconnect");
  if (value === "kill" || value === "keep" || value === "detach") return value;
  throw fields.wrong("onDisconnect", "kill, keep or detach");
}

/** What does not follow the grammar is dropped, as the standard has it. */
function readTraceparent(fields: Fields): string | undefined {
  if (!fields.has("traceparent")) return undefined;
  const text = fields.text("traceparent");
  return isTraceparent(text) ? text : undefined;
}

/** The rules beyond types; both sides keep them. Throws `invalid_argument`. */
export function checkRequest(request: ExecRequest): void {
  const { argv, line, cwd, env } = request;
  if ((argv === undefined) === (line === undefined)) {
    throw invalid("A command needs either arguments or a shell line");
  }
  if (argv !== undefined && (argv.length === 0 || argv[0] === "")) {
    throw invalid("A command needs a program: its name is empty");
  }
  argv?.forEach((arg, i) =>
    refuseUnsendable(arg, `Argument ${i} of the command`)
  );
  refuseUnsendable(line, "The shell line");
  refuseUnsendable(cwd, "The working directory");
  if (cwd === "") throw invalid("The working directory is empty");
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || name.includes("=")) {
      throw invalid(`"${name}" cannot be the name of a variable`);
    }
    refuseUnsendable(name, "The name of a variable");
    refuseUnsendable(value, `Variable ${name}`);
  }
  for (const key of ["timeoutMs", "killAfterMs", "drainMs"] as const) {
    checkTimer(request[key], key);
  }
}

/** Throws `invalid_argument` for a time in ms that no timer can hold. */
export function checkTimer(value: number | undefined, key: string): void {
  const fine = value === undefined ||
    (Number.isSafeInteger(value) && value >= 0 && value <= MAX_TIMER_MS);
  if (fine) return;
  throw invalid(
    `${key} must be a whole number from 0 to ${MAX_TIMER_MS}, not ${value}`,
  );
}

function refuseUnsendable(text: string | undefined, what: string): void {
  // Half a surrogate pair has no UTF-8, so it would arrive as something else.
  if (text?.isWellFormed() === false) {
    throw invalid(`${what} has half a surrogate pair`);
  }
  const at = text?.indexOf("\0") ?? -1;
  if (at >= 0) {
    throw invalid(
      `${what} has a NUL character at position ${at}, which no system takes`,
    );
  }
}

function invalid(message: string): LimpetError {
  // The names in it are the client's.
  return new LimpetError("invalid_argument", printable(message));
}
