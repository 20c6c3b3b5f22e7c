/**
 * What a test may leave behind: nothing. Counts this process's children,
 * descriptors and timers.
 *
 * @module
 */

import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { childrenOf } from "./proc.ts";

/** How long a condition may take to hold, on a machine that is busy. */
const PATIENCE_MS = 60_000;

/** From often to seldom: most conditions hold soon, and looking costs too. */
const POLL_MS = [1, 2, 5, 10];
const LAST_POLL_MS = 20;

/** Polls until `condition` holds; fails with what `describe` says. */
export async function eventually(
  condition: () => boolean,
  describe: () => string,
  ms: number = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + ms;
  for (let looks = 0; !condition(); looks++) {
    if (performance.now() > deadline) {
      throw new Error(`Not so after ${ms} ms: ${describe()}`);
    }
    const pause = POLL_MS[looks] ?? LAST_POLL_MS;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** What the descriptors of this process are open on, by number; but one. */
export function descriptors(): string[] {
  return listing("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      // Open from a process's first command to its end, to show that it lives.
      return /\/limpet-pipes-\w+\/alive$/.test(path) ? [] : [`${fd} ${path}`];
    } catch {
      return []; // The one that read the directory, or just closed.
    }
  });
}

/** Waits until children and descriptors are no more than at the baseline. */
export type LeakCheck = () => Promise<void>;

/**
 * Takes the baseline; the function it returns is the check.
 *
 * A zombie counts as gone. Take the baseline after a warm-up if the runtime
 * opens descriptors of its own on first use.
 */
export function checkLeaks(): LeakCheck {
  // Deno opens a pair of sockets when signals are first used, if not by us then
  // by itself within its first second.
  const ignore = () => {};
  process.on("SIGWINCH", ignore).off("SIGWINCH", ignore);
  const children = childrenOf(process.pid);
  const open = descriptors();
  return async () => {
    const moreThan = (before: string[], now: string[]) =>
      now.filter((each) => !before.includes(each));
    await eventually(
      () =>
        moreThan(children, childrenOf(process.pid)).length === 0 &&
        descriptors().length <= open.length,
      () =>
        `processes left: [${moreThan(children, childrenOf(process.pid))}], ` +
        `descriptors: ${descriptors().length}, ${open.length} before; ` +
        `new: [${moreThan(open, descriptors()).join(", ")}]`,
    );
  };
}

/** Timers that were set and neither fired nor were cleared. */
export interface TimerCount extends Disposable {
  readonly pending: number;
}

/** Counts the timers that the code under test sets from now on. */
export function countTimers(): TimerCount {
  const pending = new Set<unknown>();
  const { setTimeout, clearTimeout } = globalThis;
  // No `vi.spyOn`: a spy keeps every argument it ever saw.
  globalThis.setTimeout = ((action: () => void, ms?: number) => {
    const timer = setTimeout(() => {
      pending.delete(timer);
      action();
    }, ms);
    pending.add(timer);
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = ((timer?: ReturnType<typeof setTimeout>) => {
    pending.delete(timer);
    clearTimeout(timer);
  }) as typeof clearTimeout;
  return {
    get pending() {
      return pending.size;
    },
    [Symbol.dispose]: () => {
      Object.assign(globalThis, { setTimeout, clearTimeout });
    },
  };
}

function listing(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // No such thing on this system.
  }
}
