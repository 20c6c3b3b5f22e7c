/**
 * How long a server that ends waits for what it has told to end.
 *
 * @module
 */

import { deferred } from "../deferred.ts";

/** Longest time that a timer can hold, in milliseconds. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** See the module's description. */
export class Patience {
  readonly #over = deferred<void>();
  #at = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Settles when it has come to an end; never, if that is `stop`ped before. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Lasts so long from now on, if it would have lasted longer. */
  shorten(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#at) return;
    this.#at = at;
    clearTimeout(this.#timer);
    if (ms > MAX_TIMER_MS) return;
    this.#timer = setTimeout(() => this.#over.resolve(), ms);
  }

  /** It was not needed any longer. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
