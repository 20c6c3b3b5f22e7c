/**
 * Telling of refused connections without a line for each.
 *
 * @module
 */

/** Why a connection was dropped before anything of it was read. */
export type RefusalReason =
  | "max_connections"
  | "max_unauthenticated"
  | "early_drop"
  | "penalty";

/** A connection that was dropped before anything of it was read. */
export interface Refusal {
  readonly reason: RefusalReason;
  /** For people. */
  readonly message: string;
}

/** Between two reports of the same reason, in milliseconds. */
export const REPORT_EVERY_MS = 10_000;

/**
 * Reports the first refusal of its kind at once, and after that one in so many
 * milliseconds, with the number of those that came meanwhile. A flood that could
 * fill the log or the disk would be a worse attack than the one refused.
 */
export class Refusals<T extends Refusal> {
  readonly #report: (last: T, count: number) => void;
  readonly #everyMs: number;
  readonly #kinds = new Map<
    RefusalReason,
    { last: T; count: number; timer: ReturnType<typeof setTimeout> }
  >();

  constructor(
    report: (last: T, count: number) => void,
    everyMs: number = REPORT_EVERY_MS,
  ) {
    this.#report = report;
    this.#everyMs = everyMs;
  }

  add(refusal: T): void {
    const kind = this.#kinds.get(refusal.reason);
    if (kind === undefined) return this.#tell(refusal, 1);
    kind.last = refusal;
    kind.count++;
  }

  /** Reports what was not reported yet. */
  close(): void {
    for (const { last, count, timer } of this.#kinds.values()) {
      clearTimeout(timer);
      if (count > 0) this.#report(last, count);
    }
    this.#kinds.clear();
  }

  #tell(last: T, count: number): void {
    const timer = setTimeout(() => this.#sumUp(last.reason), this.#everyMs);
    this.#kinds.set(last.reason, { last, count: 0, timer });
    this.#report(last, count);
  }

  #sumUp(reason: RefusalReason): void {
    const { last, count } = this.#kinds.get(reason)!;
    this.#kinds.delete(reason);
    if (count > 0) this.#tell(last, count);
  }
}
