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

/** One of the things that are read again. */
export interface Reading {
  /** Of which the old one stays if it cannot be. */
  readonly what: string;
  /** Resolves to what there is now, in words. */
  readonly again: () => Promise<string>;
}

/**
 * Reads all that `reload` gives, one after another, upon every SIGHUP, and says
 * what came of each: they do not depend on one another.
 */
export function reloadOnHangup(
  runtime: CliRuntime,
  reload: () => readonly Reading[],
  report: Reporter,
): void {
  let last = Promise.resolve();
  let waiting = 0;
  runtime.onSignal("SIGHUP", () => {
    // One that has not begun will find whatever this one would.
    if (waiting > 1) return;
    waiting++;
    last = last.then(async () => {
      for (const { what, again } of reload()) {
        try {
          report.info(`read again: ${await again()}`);
        } catch (thrown) {
          const error = asLimpetError(thrown, "refused", "Reading it again");
          report.error(`the old ${what} stays: ${error.message}`);
        }
      }
      waiting--;
    });
  });
}
