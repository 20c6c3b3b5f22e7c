/**
 * How much may be held for somebody, in bytes.
 *
 * @module
 */

/** A bound on bytes, within another one perhaps. Nothing here ever waits. */
export class Memory {
  /** The name of the limit that sets it, for messages. */
  readonly name: string;
  readonly max: number;
  readonly #parent: Memory | null;
  #held = 0;

  constructor(name: string, max: number, parent: Memory | null = null) {
    this.name = name;
    this.max = max;
    this.#parent = parent;
  }

  /** Bytes taken and not given back. */
  get held(): number {
    return this.#held;
  }

  /**
   * Takes bytes. If there are not so many: what is full, and nothing is taken.
   * `part`, up to 1, is how much of it all may be taken then.
   */
  take(bytes: number, part: number = 1): Memory | null {
    if (this.#held + bytes > this.max * part) return this;
    const full = this.#parent?.take(bytes, part) ?? null;
    if (full === null) this.#held += bytes;
    return full;
  }

  /** How many more could be taken. */
  left(part: number = 1): number {
    const here = this.max * part - this.#held;
    return Math.min(here, this.#parent?.left(part) ?? Infinity);
  }

  /** Gives them back. */
  give(bytes: number): void {
    this.#held -= bytes;
    this.#parent?.give(bytes);
  }
}

/** Somebody of whom so much memory is asked in all, in bytes. */
export interface Holder {
  /** False if there is not so much. */
  hold(bytes: number): boolean;
}

/**
 * For something that grows and shrinks: holds as many bytes as it has just now,
 * as far as they are above `free`. What nearly everybody needs nearly always is
 * not refused to one because of what others hold.
 */
export class Share implements Holder {
  readonly #memory: Memory;
  readonly #part: number;
  #free: number;
  #taken = 0;

  /**
   * `part`, up to 1: it gets nothing as soon as so much of `memory` is taken. For
   * what one can do without, so that it leaves room for what one cannot.
   */
  constructor(memory: Memory, free: number, part: number = 1) {
    this.#memory = memory;
    this.#free = free;
    this.#part = part;
  }

  /** How many more it could hold, beyond what is free. */
  get left(): number {
    return Math.max(0, this.#memory.left(this.#part));
  }

  /** From now on it is so many. False if there are not so many; then as before. */
  hold(bytes: number): boolean {
    const wanted = Math.max(0, bytes - this.#free);
    const more = wanted - this.#taken;
    if (more > 0 && this.#memory.take(more, this.#part) !== null) return false;
    if (more < 0) this.#memory.give(-more);
    this.#taken = wanted;
    return true;
  }

  /** Gives all of it back, and takes nothing any more, whatever is asked for. */
  close(): void {
    this.#free = Infinity;
    this.hold(0);
  }
}
