/**
 * How a server is told to end.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import type { CliRuntime } from "./runtime.ts";

/** A signal that we are told to end with. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** What every server ends with. */
export const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

/** Settle when we are told to end, told again, and told a third time. */
export type StopRequests = readonly [
  asked: Promise<void>,
  askedAgain: Promise<void>,
  askedAThirdTime: Promise<void>,
];

/**
 * Listens from now on and for good: between two listeners, a signal would end
 * us on the spot.
 */
export function stopRequests(
  runtime: CliRuntime,
  signals: readonly StopSignal[],
): StopRequests {
  const times = [deferred<void>(), deferred<void>(), deferred<void>()];
  let count = 0;
  for (const name of signals) {
    runtime.onSignal(name, () => times[count++]?.resolve());
  }
  return [times[0].promise, times[1].promise, times[2].promise];
}
