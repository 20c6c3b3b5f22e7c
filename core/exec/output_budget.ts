/**
 * Bytes that a command may write, over both of its output streams.
 *
 * @module
 */

/** See the module's description. */
export class OutputBudget {
  readonly limit: number;
  #left: number;
  #onSpent: () => void;

  /** `onSpent` is told once, of the first byte that is too much. */
  constructor(limit: number, onSpent: () => void) {
    this.limit = limit;
    this.#left = limit;
    this.#onSpent = onSpent;
  }

  /** How many of so many bytes there is room for. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.#left);
    this.#left -= taken;
    if (taken < bytes) {
      this.#onSpent();
      this.#onSpent = () => {};
    }
    return taken;
  }
}
