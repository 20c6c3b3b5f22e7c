/**
 * The operating system's errors as ours. Every runtime names them by the same
 * codes (`ECONNREFUSED`), so what they mean to us is decided here, once; an
 * adapter only finds the code in its runtime's error object.
 *
 * @module
 */

import { DROPPED_ADVICE, type ErrorCode, LimpetError } from "../errors.ts";

/** A runtime's error with the OS's code in it, where there is one. */
export interface OsError {
  /** `ENOENT` and the like. */
  readonly code: string | undefined;
  /** The runtime's own error object or whatever else was thrown. */
  readonly cause: unknown;
}

const WORDS: Readonly<Record<string, string>> = {
  E2BIG: "argument list too long",
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "address not available on this machine",
  EAGAIN: "resource temporarily unavailable",
  EAI_AGAIN: "name lookup failed for now",
  ECONNABORTED: "connection aborted",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EDQUOT: "disk quota used up",
  EHOSTUNREACH: "no route to host",
  EINVAL: "invalid argument",
  EISDIR: "is a directory",
  ELOOP: "too many symbolic links",
  EMFILE: "too many open files",
  ENAMETOOLONG: "name too long",
  ENETDOWN: "network is down",
  ENETUNREACH: "network is unreachable",
  ENFILE: "too many open files in the system",
  ENOENT: "no such file",
  ENOEXEC: "not a format that can be executed",
  ENOMEM: "out of memory",
  ENOSPC: "no space left on the device",
  ENOTDIR: "not a directory",
  ENOTFOUND: "no such host",
  ENXIO: "no such device, or a named pipe that nobody reads",
  EROFS: "file system is read-only",
  ENOTSOCK: "there is a file that is not a socket",
  EPERM: "operation not permitted",
  EPIPE: "closed by peer",
  ERR_SOCKET_BAD_PORT: "no port from 0 to 65535",
  ETIMEDOUT: "timed out",
  ETXTBSY: "file is being written to",
};

/** `connection refused (ECONNREFUSED)`; the error's own text if unknown. */
export function describe({ code, cause }: OsError): string {
  const words = code === undefined ? undefined : WORDS[code];
  if (words !== undefined) return `${words} (${code})`;
  if (cause instanceof Error) return cause.message;
  return cause === undefined ? "unknown error" : String(cause);
}

/**
 * The same function, rejecting in our words where the OS has a code for it: whoever
 * calls it says what it was for, and with which file.
 */
export function inWords<A extends unknown[], R>(
  use: (...args: A) => Promise<R>,
  osError: (cause: unknown) => OsError,
): (...args: A) => Promise<R> {
  return (...args) =>
    use(...args).catch((cause) => {
      const error = osError(cause);
      if (!((error.code ?? "") in WORDS)) throw cause;
      throw new Error(describe(error), { cause });
    });
}

/** Dialling did not work. The advice is a sentence of its own, or empty. */
export function connectError(
  address: string,
  error: OsError,
  advice: string = connectAdvice(error),
): LimpetError {
  return new LimpetError(
    "connection_failed",
    `Cannot connect to ${address}: ${describe(error)}${advice}`,
    { cause: error.cause },
  );
}

/** What to look at first. */
function connectAdvice({ code }: OsError): string {
  if (code === "ECONNREFUSED") {
    return '. Nothing listens there: see whether "limpet serve" runs, and at ' +
      "which address";
  }
  // It was taken, and dropped before we looked.
  return code === "ECONNRESET" ? `. ${DROPPED_ADVICE}` : "";
}

/** Listening did not work. */
export function listenError(address: string, error: OsError): LimpetError {
  const hint = error.code === "EADDRINUSE"
    ? ". Another program has it: end that one, or choose another " +
      (address.startsWith("unix:") ? "path" : "port (0 takes a free one)")
    : "";
  return new LimpetError(
    "connection_failed",
    `Cannot listen on ${address}: ${describe(error)}${hint}`,
    { cause: error.cause },
  );
}

/** An open connection broke; no error means that it just went away. */
export function lostError(error: OsError | null): LimpetError {
  return new LimpetError(
    "connection_lost",
    `Connection lost: ${
      error === null ? "closed before its end" : describe(error)
    }`,
    { cause: error?.cause },
  );
}

/**
 * A write to a pipe: `broken_pipe` if nobody reads it any more, `write_failed`
 * for anything else, such as a full disk behind our stdout.
 */
export function writeError(to: string, error: OsError | null): LimpetError {
  const broken = error === null || error.code === "EPIPE" ||
    error.code === "ECONNRESET";
  return broken
    ? new LimpetError("broken_pipe", `Nobody reads ${to} any more`, {
      cause: error?.cause,
    })
    : new LimpetError(
      "write_failed",
      `Cannot write to ${to}: ${describe(error)}`,
      { cause: error.cause },
    );
}

const FILE_ADVICE: Readonly<Record<string, string>> = {
  EACCES: "Let this user write there, or name another file",
  EDQUOT: "Make room there, or name a file of another disk",
  EISDIR: "Name a file in it",
  ENOSPC: "Make room there, or name a file of another disk",
  ENOTDIR: "A part of its path is a file: name another one",
  ENXIO: "Start what is to read it first",
  EPERM: "Let this user write there, or name another file",
  EROFS: "Name a file of another disk",
};

/** A log could not be opened or written, with what to do about it. */
export function logError(
  doing: "open" | "write to",
  path: string,
  error: OsError,
): LimpetError {
  const advice = FILE_ADVICE[error.code ?? ""];
  return new LimpetError(
    "write_failed",
    `Cannot ${doing} the log ${path}: ${describe(error)}` +
      (advice === undefined ? "" : `. ${advice}`),
    { cause: error.cause },
  );
}

const SPAWN_CODES: Readonly<Record<string, ErrorCode>> = {
  E2BIG: "argument_list_too_long",
  EACCES: "not_executable",
  EAGAIN: "resource_exhausted",
  EDQUOT: "resource_exhausted",
  EINVAL: "invalid_argument",
  EISDIR: "not_executable",
  ELOOP: "not_found",
  EMFILE: "resource_exhausted",
  ENAMETOOLONG: "not_found",
  ENFILE: "resource_exhausted",
  ENOENT: "not_found",
  ENOEXEC: "not_executable",
  ENOMEM: "resource_exhausted",
  ENOSPC: "resource_exhausted",
  ENOTDIR: "not_found",
  EPERM: "not_executable",
  ETXTBSY: "not_executable",
};

/** A program did not start, for a reason that the error itself tells. */
export function spawnError(
  program: string,
  error: OsError,
  hint = "",
): LimpetError {
  const code = error.code === undefined ? undefined : SPAWN_CODES[error.code];
  const reason = describe(error) + (error.code === "E2BIG" ? hint : "");
  return startError(code ?? "spawn_failed", program, reason, error);
}

/** A program did not start, for a reason that we found out. */
export function startError(
  code: ErrorCode,
  program: string,
  reason: string,
  error: OsError | null,
): LimpetError {
  return new LimpetError(code, `Cannot start ${quote(program)}: ${reason}`, {
    cause: error?.cause,
  });
}

/** A name in quotes, short enough for a message. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 79)}…` : name);
}
