/**
 * From a script that goes wrong to a short one that goes wrong too.
 *
 * @module
 */

import { joined } from "./mutate.ts";
import type { Script } from "./script.ts";

/** Whether a script still goes wrong in the same way. */
export type Fails<Case extends Script> = (one: Case) => Promise<boolean>;

/** Takes away items, then bytes, for as long as it still fails. */
export async function minimise<Case extends Script>(
  one: Case,
  fails: Fails<Case>,
  maxRuns = 1_500,
): Promise<Case> {
  let runs = 0;
  let best = one;
  const attempt = async (next: Case) => {
    if (runs++ >= maxRuns || !(await fails(next))) return false;
    best = next;
    return true;
  };
  await attempt({ ...best, chunk: 0 });
  for (let size = best.items.length; size >= 1; size = size >> 1) {
    for (let at = 0; at < best.items.length;) {
      const items = best.items.filter((_, i) => i < at || i >= at + size);
      if (!(await attempt({ ...best, items }))) at += size;
    }
  }
  for (let i = 0; i < best.items.length; i++) {
    await shorten(i);
  }
  return best;

  async function shorten(index: number): Promise<void> {
    const item = best.items[index];
    if (item.do !== "bytes") return;
    let size = item.bytes.byteLength >> 1;
    for (let bytes = item.bytes; size >= 1; size = size >> 1) {
      for (let at = 0; at < bytes.byteLength;) {
        const less = joined(bytes.subarray(0, at), bytes.subarray(at + size));
        const items = best.items.with(index, { do: "bytes", bytes: less });
        if (await attempt({ ...best, items })) bytes = less;
        else at += size;
      }
    }
  }
}
