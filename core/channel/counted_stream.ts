/**
 * A stream whose sender wants to know how much the reader has taken for sure.
 *
 * @module
 */

import { HeldStream } from "./held_stream.ts";
import { GROWN } from "./window.ts";

/** See the module's description. */
export class CountedStream extends HeldStream {
  /** What the reader may have to hold, in bytes, now and at first. */
  #window: number;
  readonly #initial: number;
  #taken = 0;
  /** Told whenever the reader has taken more, of all it has taken, in bytes. */
  onTaken: ((taken: number) => void) | null = null;

  constructor(...made: ConstructorParameters<typeof HeldStream>) {
    super(...made);
    const [, , , credit] = made;
    this.#window = this.#initial = credit;
  }

  /**
   * After so many bytes at most the reader says what it has taken: PROTOCOL.md,
   * "Windows".
   */
  get step(): number {
    return Math.max(this.#initial / 2, this.#window / 16);
  }

  override addCredit(credit: number): void {
    super.addCredit(credit);
    if (credit >= GROWN) {
      this.#window += credit - GROWN;
      return;
    }
    this.#taken += credit;
    this.onTaken?.(this.#taken);
  }
}
