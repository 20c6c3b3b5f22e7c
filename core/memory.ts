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

  /** Takes bytes. If there are not so many: what is full, and nothing is taken. */
  take(bytes: number): Memory | null {
    if (this.#held + bytes > this.max) return this;
    const full = this.#parent?.take(bytes) ?? null;
    if (full === null) this.#held += bytes;
    return full;
  }

  /** Gives them back. */
  give(bytes: number): void {
    this.#held -= bytes;
    this.#parent?.give(bytes);
  }
}

/** Asks for so much memory in all, in bytes. False if there is not so much. */
export type Hold = (bytes: number) => boolean;

/**
 * For something that grows and shrinks: holds as many bytes as it has just now,
 * as far as they are above `free`. What nearly everybody needs nearly always is
 * not refused to one because of what others hold.
 */
export class Share {
  readonly #memory: Memory;
  readonly #free: number;
  #taken = 0;

  constructor(memory: Memory, free: number) {
    this.#memory = memory;
    this.#free = free;
  }

  /** From now on it is so many. False if there are not so many; then as before. */
  readonly hold: Hold = (bytes) => {
    const wanted = Math.max(0, bytes - this.#free);
    const more = wanted - this.#taken;
    if (more > 0 && this.#memory.take(more) !== null) return false;
    if (more < 0) this.#memory.give(-more);
    this.#taken = wanted;
    return true;
  };
}
