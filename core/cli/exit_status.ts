/**
 * What the program's own exit status says.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts";
import type { CommandStatus } from "../exec/exit.ts";

/** Exit statuses that are not the remote command's own. */
export const ExitStatus = {
  /** An experiment of `limpet lab` did not show what it is about. */
  NOT_OBSERVED: 1,
  /** The deadline passed; as timeout(1). */
  TIMED_OUT: 124,
  /** Refused, or a mistake on the command line; as `docker run`. */
  REFUSED: 125,
  /** Found but not executable; as in a shell. */
  NOT_EXECUTABLE: 126,
  /** Not found; as in a shell. */
  NOT_FOUND: 127,
  /** Connection, authentication, or an unknown outcome; as ssh. */
  CONNECTION: 255,
} as const;

/** Linux's numbers; shells report a signal as 128 + n. */
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

/** 128 + n, or 255 for a signal whose number we do not know. */
export function signalStatus(signal: string): number {
  // The name is the server's word, and may be that of a method of all objects.
  if (!Object.hasOwn(SIGNAL_NUMBERS, signal)) return ExitStatus.CONNECTION;
  return 128 + SIGNAL_NUMBERS[signal];
}

/** For a command that ran. */
export function statusOf(status: CommandStatus): number {
  if (status.reason === "timed_out") return ExitStatus.TIMED_OUT;
  // It was cut short, however nicely it took that: never a success.
  if (status.reason !== null && status.code === 0) return ExitStatus.CONNECTION;
  if (status.signal !== null) return signalStatus(status.signal);
  const code = status.code ?? ExitStatus.CONNECTION;
  // Windows has codes of 32 bits, and Unix keeps the lowest 8 of what we exit
  // with: a failure must not become a success by that.
  return code !== 0 && code % 256 === 0 ? ExitStatus.CONNECTION : code;
}

/** Whether a command that fails with this may have run, or may still run. */
export function isUnknown(code: ErrorCode): boolean {
  return code === "connection_lost" || code === "closed";
}

/** For everything else. */
export function statusOfError(code: ErrorCode): number {
  switch (code) {
    case "not_found":
      return ExitStatus.NOT_FOUND;
    case "not_executable":
    case "argument_list_too_long":
      return ExitStatus.NOT_EXECUTABLE;
    case "timed_out":
    case "connection_failed":
    case "connection_lost":
    case "unauthenticated":
    case "version_mismatch":
    case "certificate_untrusted":
    case "certificate_invalid":
    case "certificate_changed":
    case "protocol_error":
    case "cancelled":
    case "closed":
    case "write_failed":
      return ExitStatus.CONNECTION;
    default:
      return ExitStatus.REFUSED;
  }
}
