/**
 * How a command ended, as it crosses the wire in EXIT.
 *
 * @module
 */

import type { Fields } from "../frame/control.ts";
import type { ExitStatus } from "../ports.ts";
import { printable } from "../printable.ts";

/**
 * Why the server ended a command that did not end by itself. A later server may
 * have more reasons than these.
 */
export type TerminationReason =
  | "timed_out"
  | "cancelled"
  | "stdin_aborted"
  | "disconnected"
  | "shutting_down"
  | "runtime_limit"
  | "output_limit"
  | (string & Record<never, never>);

/** The outcome of a command that started. */
export interface CommandStatus extends ExitStatus {
  /** It ended by itself with code 0. */
  readonly success: boolean;
  /** Why the server ended it; null if it ended by itself. */
  readonly reason: TerminationReason | null;
}

/** Whether anybody can tell how it ended. */
export function isTold({ code, signal }: ExitStatus): boolean {
  return code !== null || signal !== null;
}

/** Reads EXIT. Throws `protocol_error`. */
export function readExit(fields: Fields): CommandStatus {
  const code = fields.get("code") === null
    ? null
    : fields.integer("code", { max: 0xffff_ffff });
  const signal = fields.get("signal") === null
    ? null
    : printable(fields.text("signal", 20));
  if ((code === null) === (signal === null)) {
    throw fields.wrong("code", "null exactly if there is a signal");
  }
  const reason = fields.has("reason")
    ? printable(fields.text("reason", 100))
    : null;
  return {
    success: code === 0 && reason === null,
    code,
    signal,
    reason,
  };
}
