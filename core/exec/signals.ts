/**
 * The signals that may be asked for by name.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";

/** POSIX's and the common ones besides; a platform may lack some of them. */
export const SIGNALS = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGKILL",
  "SIGUSR1",
  "SIGSEGV",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGCHLD",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGWINCH",
  "SIGIO",
  "SIGSYS",
] as const;

/** One of {@linkcode SIGNALS}. */
export type Signal = (typeof SIGNALS)[number];

/** Throws `invalid_argument` for anything else. */
export function checkSignal(name: string): asserts name is Signal {
  if ((SIGNALS as readonly string[]).includes(name)) return;
  throw new LimpetError(
    "invalid_argument",
    `"${
      printable(name)
    }" is not a signal: use a name such as SIGTERM or SIGINT`,
  );
}
