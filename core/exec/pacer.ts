/**
 * Doing many things that block the event loop, and not blocking it with them.
 *
 * @module
 */

/** After so long the event loop gets a turn, in milliseconds. */
const TURN_MS = 50;

/** So many are under way at once: whoever does them does others', too, in turn. */
const MOST_UNDER_WAY = 4;

/**
 * Starting a process blocks the event loop: a thousand at once, on a busy
 * machine, could block it for a minute, in which no PING is answered and the
 * client gives the server up. So the loop gets its turn now and then.
 */
export class Pacer {
  readonly #waiting: (() => void)[] = [];
  /** Less what has passed in between, in which the loop had turns. */
  #blockedMs = 0;
  /** Until when that is so. */
  #at = 0;
  #turning = false;
  #underWay = 0;

  /** Does it, now or in one of the next turns. In order. */
  run<T>(action: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        this.#underWay++;
        try {
          const doing = action();
          resolve(doing);
          Promise.resolve(doing).then(() => this.#done(), () => this.#done());
        } catch (error) {
          reject(error);
          this.#underWay--;
        }
      });
      if (!this.#turning) this.#drain();
    });
  }

  #done(): void {
    this.#underWay--;
    if (!this.#turning) this.#drain();
  }

  #drain(): void {
    const isFull = () => this.#underWay >= MOST_UNDER_WAY;
    let since = performance.now();
    this.#blockedMs = Math.max(0, this.#blockedMs - (since - this.#at));
    while (
      this.#waiting.length > 0 && this.#blockedMs < TURN_MS && !isFull()
    ) {
      this.#waiting.shift()!();
      const now = performance.now();
      this.#blockedMs += now - since;
      since = now;
    }
    this.#at = since;
    if (this.#waiting.length === 0 || isFull()) return;
    this.#turning = true;
    setTimeout(() => {
      this.#turning = false;
      this.#blockedMs = 0;
      this.#drain();
    }, 0);
  }
}
