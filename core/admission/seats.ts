/**
 * How many there may be, in total and of each identity.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";

/** A bound and the name of the limit that sets it. */
export interface Bound {
  readonly name: string;
  readonly max: number;
}

/** Counts something of which each identity has its own share. */
export class Seats {
  readonly #total: Bound;
  readonly #each: Bound;
  readonly #taken = new Map<string, number>();
  #count = 0;

  constructor(total: Bound, each: Bound) {
    this.#total = total;
    this.#each = each;
  }

  /** Takes one, or throws `limit_exceeded`. Returns how to give it back, once. */
  take(identity: string): () => void {
    const taken = this.#taken.get(identity) ?? 0;
    if (taken >= this.#each.max) throw full(this.#each, "this identity");
    if (this.#count >= this.#total.max) throw full(this.#total, "all");
    this.#taken.set(identity, taken + 1);
    this.#count++;
    let back = false;
    return () => {
      if (back) return;
      back = true;
      this.#count--;
      const left = this.#taken.get(identity)! - 1;
      if (left > 0) this.#taken.set(identity, left);
      else this.#taken.delete(identity);
    };
  }
}

function full({ name, max }: Bound, whose: string): LimpetError {
  return new LimpetError(
    "limit_exceeded",
    `Server's limit ${name} is reached: ${max} for ${whose}`,
  );
}
