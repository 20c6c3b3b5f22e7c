/**
 * Jobs that have ended, in the order in which they are to be forgotten.
 *
 * @module
 */

import { MAX_TIMER_MS } from "../exec/request.ts";
import type { JobEntry } from "./entry.ts";

/** See the module's description. */
export class OldestFirst {
  readonly #ttlMs: number;
  readonly #expired: (entry: JobEntry) => void;
  /** In the order in which they ended. */
  readonly #entries = new Set<JobEntry>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** `expired` is told of each that has been here for `ttlMs`. */
  constructor(ttlMs: number, expired: (entry: JobEntry) => void) {
    this.#ttlMs = ttlMs;
    this.#expired = expired;
  }

  add(entry: JobEntry): void {
    this.#entries.add(entry);
    if (this.#entries.size === 1) this.#arm();
  }

  delete(entry: JobEntry): void {
    this.#entries.delete(entry);
    if (this.#entries.size === 0) clearTimeout(this.#timer);
  }

  /**
   * The one of that identity to go first: of what nobody asked to keep, then of
   * all. One whose output is still held open is not among them.
   */
  oldest(name: string): JobEntry | null {
    let oldest: JobEntry | null = null;
    for (const entry of this.#entries) {
      if (entry.owner.name !== name || entry.channel !== null) continue;
      if (!entry.isNamed && entry.onDisconnect === "kill") return entry;
      oldest ??= entry;
    }
    return oldest;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [next] = this.#entries;
    if (next === undefined || this.#closed || this.#ttlMs === Infinity) return;
    const ms = (next.endedAt ?? 0) + this.#ttlMs - Date.now();
    const wait = Math.min(Math.max(0, ms), MAX_TIMER_MS);
    this.#timer = setTimeout(() => this.#look(), wait);
  }

  #look(): void {
    const limit = Date.now() - this.#ttlMs;
    for (const entry of this.#entries) {
      if ((entry.endedAt ?? 0) > limit) break;
      this.#entries.delete(entry);
      this.#expired(entry);
    }
    this.#arm();
  }
}
