/**
 * Timers that wait for the test instead of for the clock: how a deadline and
 * the start of a process come out must not be the machine's choice.
 *
 * @module
 */

/** The timers that are held; until disposed of. */
export interface HeldTimers extends Disposable {
  /** Lets the one of this length go off; throws if nobody has set it. */
  fire(ms: number): void;
}

/** Holds what this process sets from now on for exactly one of these times. */
export function holdTimers(...lengths: readonly number[]): HeldTimers {
  type Timer = ReturnType<typeof setTimeout>;
  const held = new Map<Timer, { ms: number; action: () => void }>();
  const { setTimeout, clearTimeout } = globalThis;
  globalThis.setTimeout = ((action: () => void, ms: number = 0) => {
    if (!lengths.includes(ms)) return setTimeout(action, ms);
    // A timer of the runtime's own kind, which can be cleared and never fires.
    const timer = setTimeout(() => {}, 0);
    held.set(timer, { ms, action });
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = ((timer?: Timer) => {
    if (timer !== undefined) held.delete(timer);
    clearTimeout(timer);
  }) as typeof clearTimeout;
  return {
    fire(ms) {
      const found = [...held].find(([, each]) => each.ms === ms);
      if (found === undefined) throw new Error(`Nobody waits for ${ms} ms`);
      const [timer, { action }] = found;
      held.delete(timer);
      action();
    },
    [Symbol.dispose]: () => {
      Object.assign(globalThis, { setTimeout, clearTimeout });
    },
  };
}
