/**
 * Which sources have done wrong of late.
 *
 * @module
 */

/** What a {@linkcode Penalties} keeps to. */
export interface PenaltyLimits {
  readonly penaltyThresholdMs: number;
  readonly maxPenaltyMs: number;
  readonly maxPenaltySources: number;
}

/**
 * A penalty is a time. Those of one source add up, and run off by themselves as
 * time passes. A source is refused from the threshold up; so who errs now and
 * then is never refused, and who goes on and on is, for longer and longer.
 *
 * Holds a bounded number of sources. When there are more, those heard of
 * longest ago are forgotten: refusing whom nothing is known about would be worse
 * than letting somebody begin anew.
 */
export class Penalties {
  readonly #limits: PenaltyLimits;
  readonly #now: () => number;
  /** Source → when its penalty will have run off. Those hit last come last. */
  readonly #until = new Map<string, number>();

  constructor(limits: PenaltyLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Sources that are remembered. */
  get size(): number {
    return this.#until.size;
  }

  /** Adds to the source's penalty. */
  add(source: string, ms: number): void {
    const penalty = Math.min(this.of(source) + ms, this.#limits.maxPenaltyMs);
    this.#until.delete(source);
    this.#until.set(source, this.#now() + penalty);
    if (this.#until.size > this.#limits.maxPenaltySources) this.#forget();
  }

  /** What is left of the source's penalty, in milliseconds. */
  of(source: string): number {
    return Math.max(0, (this.#until.get(source) ?? 0) - this.#now());
  }

  /** Whether the source is to be refused now. */
  refuses(source: string): boolean {
    return this.of(source) >= this.#limits.penaltyThresholdMs;
  }

  /** All that has run off, or if that is nothing, the one hit longest ago. */
  #forget(): void {
    const [oldest] = this.#until.keys();
    // From the oldest to the first that counts, not through all of them: under
    // attack this comes with every connection.
    for (const source of this.#until.keys()) {
      if (this.of(source) > 0) break;
      this.#until.delete(source);
    }
    this.#until.delete(oldest);
  }
}
