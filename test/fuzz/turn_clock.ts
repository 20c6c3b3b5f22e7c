/**
 * A clock that stands still within a turn of the event loop. How long something
 * took in one go is the machine's affair, and a server that goes by it (as where
 * it starts commands) would not do the same for the same seed.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** Puts it in place of `performance.now` until disposed. */
export function turnClock(): Disposable {
  const real = performance.now.bind(performance);
  let now: number | null = null;
  Object.defineProperty(performance, "now", {
    value: () => {
      if (now === null) {
        now = real();
        setImmediate(() => now = null);
      }
      return now;
    },
    configurable: true,
  });
  return {
    [Symbol.dispose]: () => {
      Object.defineProperty(performance, "now", {
        value: real,
        configurable: true,
      });
    },
  };
}
