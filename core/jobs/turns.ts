/**
 * Doing things to a file one after the other, and to others meanwhile.
 *
 * @module
 */

/** See the module's description. */
export class Turns {
  /** The last that is to be done, by what it is done to. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** Does it when all that came before for the same key is done. */
  take<T>(key: string, action: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const done = before.then(action);
    const settled = done.catch(() => {}).then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    this.#last.set(key, settled);
    return done;
  }

  /** Settles when nothing is left to be done. */
  async over(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
