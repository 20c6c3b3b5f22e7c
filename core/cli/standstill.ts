/**
 * Whether our output is still being taken.
 *
 * @module
 */

/** How long a reader may take nothing before it counts as standing still. */
export const STANDSTILL_MS = 1_000;

/**
 * A reader that stands still must not keep us once a signal has ended the
 * command: whoever sent it wants an end. One that is merely slow gets everything.
 */
export class Standstill {
  /** Settles when nothing was taken for a while after `watch`. */
  readonly reached: Promise<null>;
  #reach: () => void = () => {};
  #taken = 0;

  constructor() {
    this.reached = new Promise((resolve) => this.#reach = () => resolve(null));
  }

  /** Some of the output has been taken. */
  progress(): void {
    this.#taken++;
  }

  /** From now on a standstill counts. */
  watch(): void {
    let before = this.#taken;
    const timer = setInterval(() => {
      if (this.#taken === before) {
        clearInterval(timer);
        this.#reach();
      }
      before = this.#taken;
    }, STANDSTILL_MS);
  }
}
