/**
 * How long a session may do nothing.
 *
 * @module
 */

/** Tells when nothing has been going on for so long; `Infinity` is never. */
export class IdleTimer {
  readonly #ms: number;
  readonly #onIdle: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number, onIdle: () => void) {
    this.#ms = ms;
    this.#onIdle = onIdle;
  }

  /** Nothing goes on from now. */
  begin(): void {
    this.stop();
    // What no timer can be set for is never.
    if (this.#ms > 0x7fff_ffff) return;
    this.#timer = setTimeout(this.#onIdle, this.#ms);
  }

  /** Something does. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
