/**
 * Windows that grow as far as there is memory.
 *
 * @module
 */

import type { Growth } from "../channel/window.ts";
import type { Share } from "../memory.ts";

/** See the module's description. */
export class HeldGrowth implements Growth {
  fastestMs: number;
  known = 0;
  readonly #most: number;
  readonly #share: Share;
  #grown = 0;

  /** `share` is for that alone, and holds nothing yet. */
  constructor(fastestMs: number, most: number, share: Share) {
    this.fastestMs = fastestMs;
    this.#most = most;
    this.#share = share;
  }

  get most(): number {
    return Math.min(this.#most, this.#grown + Math.floor(this.#share.left));
  }

  get grown(): number {
    return this.#grown;
  }

  /** What is up to `most` there is room for. */
  set grown(bytes: number) {
    this.#grown = bytes;
    this.#share.hold(bytes);
  }
}
