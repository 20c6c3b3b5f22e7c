/**
 * Chance that can be had again: the same seed, the same choices.
 *
 * @module
 */

/** A small generator (xorshift, 32 bits): for variety, not for secrets. */
export class Prng {
  #state: number;

  /** `parts` together are the seed: `new Prng(seed, caseNumber)`. */
  constructor(...parts: number[]) {
    let state = 0x9e37_79b9;
    for (const part of parts) {
      state = Math.imul(state ^ (part >>> 0), 0x85eb_ca6b);
      state = Math.imul(state ^ (state >>> 15), 0xc2b2_ae35);
      state ^= state >>> 13;
    }
    // Of 0 nothing but 0 would ever come.
    this.#state = state === 0 ? 1 : state;
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    return limit <= 1 ? 0 : this.next() % limit;
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.next();
    return bytes;
  }
}
