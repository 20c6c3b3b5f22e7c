/**
 * `limpet exec` without the rest of the program. It is what runs in loops, and
 * most of the time it takes on a near machine is that of being loaded.
 *
 * @module
 */

import { execCommand } from "./exec.ts";
import { asksForHelp, outcomeOf, wordsBefore } from "./outcome.ts";
import type { CliRuntime } from "./runtime.ts";

/**
 * Runs the program to its end, or is null where it takes more than this module:
 * `main` then. `runtime.exit` is called by the adapter.
 */
export function execAlone(runtime: CliRuntime): Promise<number> | null {
  const [name, ...words] = runtime.args;
  if (name !== "exec" || asksForHelp(words) || asksForMore(words)) return null;
  return outcomeOf(runtime, name, () => execCommand(runtime, words));
}

/**
 * Whether it may take what is rarely wanted: another program's stdio, the raw
 * protocol, JSON. `without` in adapters/node/build.mjs leaves that out.
 */
function asksForMore(words: readonly string[]): boolean {
  return wordsBefore(words).some((word) => /^(cmd:|raw:|--output)/i.test(word));
}
