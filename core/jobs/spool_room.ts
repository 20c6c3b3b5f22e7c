/**
 * How many bytes all jobs of a server may have on disk.
 *
 * @module
 */

/** See the module's description. */
export class SpoolRoom {
  readonly #max: number;
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** Takes bytes; false if there are not so many, and then none are taken. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.#max) return false;
    this.#held += bytes;
    return true;
  }

  /** Takes what is on disk already, or has to go there. */
  force(bytes: number): void {
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** The room of one job: the same calls, by which others may have to make way. */
export type Room = Pick<SpoolRoom, "take" | "force" | "give">;
