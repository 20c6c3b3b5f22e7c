/**
 * From a subcommand to an exit status, also where it throws.
 *
 * @module
 */

import { asLimpetError } from "../errors.ts";
import { statusOfError } from "./exit_status.ts";
import { Reporter, wordsOf } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Does `act`, and tells what it throws; `subcommand` has a help of its own. */
export async function outcomeOf(
  runtime: CliRuntime,
  subcommand: string | null,
  act: () => Promise<number>,
): Promise<number> {
  try {
    return await act();
  } catch (thrown) {
    const error = asLimpetError(thrown, "refused", "limpet");
    const report = new Reporter(runtime, "info");
    report.error(wordsOf(error));
    if (error.code === "invalid_argument" && subcommand !== null) {
      report.error(`see "limpet help ${subcommand}"`);
    }
    await report.flush();
    return statusOfError(error.code);
  }
}

/** Whether a subcommand's words ask what it is, rather than for what it does. */
export function asksForHelp(words: readonly string[]): boolean {
  const own = wordsBefore(words);
  return own.includes("--help") || own.includes("-h");
}

/** Those before `--`: what follows is another program's. */
export function wordsBefore(words: readonly string[]): readonly string[] {
  const end = words.indexOf("--");
  return end < 0 ? words : words.slice(0, end);
}
