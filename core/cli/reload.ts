/**
 * SIGHUP: reading the configuration again, or the terminal's last word.
 *
 * @module
 */

import { asLimpetError } from "../errors.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/**
 * Whether SIGHUP means that whoever started us has gone: on a terminal that
 * closes, nothing is to live on by accident. Servers without one are told with
 * it to read their configuration again, as all daemons are.
 */
export function hangsUpWithTerminal(runtime: CliRuntime): boolean {
  return [runtime.stdin, runtime.stdout, runtime.stderr]
    .some(({ isTerminal }) => isTerminal);
}

/**
 * Calls `reload` upon every SIGHUP, one after another, and says what came of
 * it: what it resolves to, or why all stays as it was.
 */
export function reloadOnHangup(
  runtime: CliRuntime,
  reload: () => Promise<string>,
  report: Reporter,
): void {
  let last = Promise.resolve();
  let waiting = 0;
  runtime.onSignal("SIGHUP", () => {
    // One that has not begun will find whatever this one would.
    if (waiting > 1) return;
    waiting++;
    last = last.then(async () => {
      try {
        report.info(`read again: ${await reload()}`);
      } catch (thrown) {
        const error = asLimpetError(thrown, "refused", "Reading it again");
        report.error(`the old configuration stays: ${error.message}`);
      }
      waiting--;
    });
  });
}
