/**
 * Memory that is really held, garbage taken out.
 *
 * @module
 */

import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

declare const Bun: { gc(force: boolean): void };

let collect: (() => void) | undefined;

function collector(): () => void {
  if ("Bun" in globalThis) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

/** Bytes held by JavaScript: objects and the buffers outside the heap. */
export async function heldBytes(): Promise<number> {
  collect ??= collector();
  // Twice, with a turn in between: finalizers free what others then release.
  for (let round = 0; round < 2; round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/**
 * How many bytes a round of some work adds to what is held: the median slope
 * between any two rounds (Theil and Sen). What is leaked grows with each of them;
 * what an engine takes in one round and gives back in another, hundreds of KiB at
 * each look on Bun, bends no more than a few of the slopes.
 */
export async function growthOf(
  rounds: number,
  work: () => Promise<void>,
): Promise<number> {
  const held = [await heldBytes()];
  for (let round = 0; round < rounds; round++) {
    await work();
    held.push(await heldBytes());
  }
  const slopes = held.flatMap((before, i) =>
    held.slice(i + 1).map((after, more) => (after - before) / (more + 1))
  );
  slopes.sort((a, b) => a - b);
  return slopes[slopes.length >> 1];
}
