/**
 * Why a server ended a command, in words.
 *
 * @module
 */

import type { TerminationReason } from "../exec/exit.ts";

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

/** Those of a later server as they are. */
export function reasonWords(reason: TerminationReason): string {
  return Object.hasOwn(WORDS, reason) ? WORDS[reason] : reason;
}
