/**
 * Errors that nobody caught: bugs of ours.
 *
 * @module
 */

import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** So many are told with all there is of them; a loop must not fill the log. */
const TOLD = 100;

/**
 * Tells of them and goes on, for everything that a server holds belongs to one
 * session or another: to end would cost all of them their commands, which would
 * run on without anybody to end them.
 */
export function outliveErrors(runtime: CliRuntime, report: Reporter): void {
  let count = 0;
  runtime.onUncaught((error) => {
    if (++count > TOLD) return;
    report.error("internal error, please report it; the server goes on:");
    const text = error instanceof Error
      ? error.stack ?? String(error)
      : String(error);
    for (const line of text.split("\n")) report.error(`  ${line}`);
    if (count === TOLD) report.error("further internal errors are not shown");
  });
}
