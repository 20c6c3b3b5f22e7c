/**
 * Why a server ended a command, in words.
 *
 * @module
 */

import {
  type CommandStatus,
  isTold,
  type TerminationReason,
} from "../exec/exit.ts";

const WORDS: Readonly<Record<string, string>> = {
  timed_out: "its time was over",
  cancelled: "its client asked for it",
  stdin_aborted: "its input broke off",
  disconnected: "its client has gone",
  shutting_down: "the server is going down",
  runtime_limit: "it ran for as long as its policy allows (maxRuntime)",
  output_limit: "it wrote as much as its policy allows (maxOutput)",
  revoked: "its client may not come any more",
};

/** How a command ended, for a log. */
export function endWords(status: CommandStatus): string {
  const { code, signal, reason } = status;
  const how = signal === null ? `with code ${code}` : `by ${signal}`;
  const why = reason === null ? "" : ` (${reasonWords(reason)})`;
  return `ended ${isTold(status) ? how : "and nobody can tell how"}${why}`;
}

/** Those of a later server as they are. */
export function reasonWords(reason: TerminationReason): string {
  return Object.hasOwn(WORDS, reason) ? WORDS[reason] : reason;
}
