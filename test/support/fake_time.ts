/**
 * Time that passes when a test says so, for sessions in memory.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { afterEach, beforeEach, vi } from "vitest";

/** Stops the clock and every timer of the tests in the enclosing block. */
export function useFakeTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

/** Lets what is on its way in memory arrive; no time passes. */
export async function settle(): Promise<void> {
  await turns(10);
}

/** So many turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Lets time pass, and whatever happens meanwhile happen. */
export async function pass(ms: number, stepMs = 1_000): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    vi.advanceTimersByTime(Math.min(stepMs, left));
    await settle();
  }
}
