/**
 * Memory for bytes that go in the order in which they came.
 *
 * @module
 */

import { EMPTY } from "../bytes.ts";

/** It begins as small as that, for a session may never send more. */
const FIRST_BYTES = 4_096;

/** What it keeps when nothing goes through it any more, at most. */
const IDLE_BYTES = 1_048_576;

/**
 * Copies lie one behind the other in one piece of memory, round and round: what
 * is used again and again is in the processor's cache, and nobody has to clear it
 * first or collect it afterwards. Where there is no room the next piece is larger;
 * the former one lives as long as anybody has a copy in it.
 */
export class ByteRing {
  #memory = EMPTY;
  /** Where the next copy begins, if there is room. */
  #next = 0;
  /** What was copied since it was last empty. */
  #copied = 0;

  /**
   * Copies bytes. `oldest` is the oldest copy that is still needed; undefined if
   * none is.
   */
  copy(bytes: Uint8Array, oldest: Uint8Array | undefined): Uint8Array {
    // Also what is empty has a place, so that the oldest one tells where it is.
    const room = Math.max(1, bytes.byteLength);
    const start = this.#place(room, oldest);
    const copy = this.#memory.subarray(start, start + bytes.byteLength);
    copy.set(bytes);
    this.#next = start + room;
    this.#copied += room;
    return copy;
  }

  /**
   * Nothing is needed any more just now. In the middle of bulk that is so again
   * and again, and new memory each time would cost more than the copies.
   */
  clear(): void {
    const size = this.#memory.byteLength;
    const isLarge = size > IDLE_BYTES && this.#copied < size / 2;
    if (isLarge) this.#memory = new Uint8Array(0);
    this.#next = 0;
    this.#copied = 0;
  }

  #place(room: number, oldest: Uint8Array | undefined): number {
    const next = oldest === undefined ? 0 : this.#next;
    const size = this.#memory.byteLength;
    // Where the oldest is in former memory all of this is newer, from 0 on.
    const first = oldest?.buffer === this.#memory.buffer
      ? oldest.byteOffset
      : 0;
    const isRound = oldest !== undefined && next <= first;
    if (room <= (isRound ? first : size) - next) return next;
    if (!isRound && room <= first) return 0;
    this.#memory = new Uint8Array(Math.max(FIRST_BYTES, size * 2, room));
    return 0;
  }
}
