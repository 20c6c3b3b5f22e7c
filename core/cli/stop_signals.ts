/**
 * How a server is told to end.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import type { CliRuntime } from "./runtime.ts";

/**
 * Settle when we are told to end, and told again. One listener for both: between
 * two, a signal would end us on the spot.
 */
export function stopSignals(runtime: CliRuntime): {
  readonly asked: Promise<void>;
  readonly askedAgain: Promise<void>;
} {
  const asked = deferred<void>();
  const askedAgain = deferred<void>();
  let count = 0;
  // SIGHUP: started from a terminal that closes, or an ssh that hangs up.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    runtime.onSignal(
      name,
      () => (count++ === 0 ? asked : askedAgain).resolve(),
    );
  }
  return { asked: asked.promise, askedAgain: askedAgain.promise };
}
