/**
 * Timers that wait for the test instead of for the clock: how a deadline and
 * the start of a process come out must not be the machine's choice.
 *
 * @module
 */

/** The timers that are held; until disposed of. */
export interface HeldTimers extends Disposable {
  /** How many of this length have been set, whatever became of them. */
  set(ms: number): number;
  /** How many of them neither went off nor were cleared. */
  waiting(ms: number): number;
  /** Lets all of this length go off; throws if nobody waits for any. */
  fire(ms: number): void;
}

type Timer = ReturnType<typeof setTimeout>;

/** Holds what this process sets from now on for exactly one of these times. */
export function holdTimers(...lengths: readonly number[]): HeldTimers {
  const held = new Map<Timer, { ms: number; action: () => void }>();
  const counts = new Map<number, number>();
  const { setTimeout, clearTimeout } = globalThis;
  globalThis.setTimeout = ((action: () => void, ms: number = 0) => {
    if (!lengths.includes(ms)) return setTimeout(action, ms);
    counts.set(ms, (counts.get(ms) ?? 0) + 1);
    // A timer of the runtime's own kind, which can be cleared and does nothing.
    const timer = setTimeout(() => {}, 0);
    held.set(timer, { ms, action });
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = ((timer?: Timer) => {
    if (timer !== undefined) held.delete(timer);
    clearTimeout(timer);
  }) as typeof clearTimeout;
  const ofLength = (ms: number) => [...held].filter(([, h]) => h.ms === ms);
  return {
    set: (ms) => counts.get(ms) ?? 0,
    waiting: (ms) => ofLength(ms).length,
    fire(ms) {
      const due = ofLength(ms);
      if (due.length === 0) throw new Error(`Nobody waits for ${ms} ms`);
      for (const [timer, { action }] of due) {
        held.delete(timer);
        action();
      }
    },
    [Symbol.dispose]: () => {
      Object.assign(globalThis, { setTimeout, clearTimeout });
    },
  };
}
