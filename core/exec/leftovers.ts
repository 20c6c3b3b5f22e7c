/**
 * What commands leave in their process groups (`sleep 100 &`).
 *
 * @module
 */

import type { ProcessHandle } from "../ports.ts";
import type { TerminationReason } from "./exit.ts";
import { ProcessTree } from "./process_tree.ts";

/** How often to look whether what commands left behind is still there. */
const LEFTOVER_POLL_MS = 1_000;

/**
 * Process groups whose leader has ended and that still have members. Each lives
 * as long as the connection its command came over, and is forgotten as soon as
 * it has gone, before its number can be used anew.
 */
export class Leftovers {
  readonly #groups = new Set<ProcessHandle>();
  #poll: ReturnType<typeof setInterval> | undefined;

  /** To be called when a command has ended; does nothing if nobody is left. */
  keep(group: ProcessHandle): void {
    if (!group.groupAlive()) return;
    this.#groups.add(group);
    if (this.#groups.size > 1) return;
    this.#poll = setInterval(() => {
      for (const each of this.#groups) {
        if (!each.groupAlive()) this.#groups.delete(each);
      }
      if (this.#groups.size === 0) clearInterval(this.#poll);
    }, LEFTOVER_POLL_MS);
  }

  /** Ends them all, by force after `graceMs`; settles when nothing is left. */
  async end(reason: TerminationReason, graceMs: number): Promise<void> {
    clearInterval(this.#poll);
    await Promise.all(
      [...this.#groups].map((group) =>
        new ProcessTree(group, graceMs).terminate(reason)
      ),
    );
    this.#groups.clear();
  }
}
