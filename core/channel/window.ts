/**
 * How far a stream's sender may run ahead of its reader: the reader's account,
 * which has no stream and no frame in it. PROTOCOL.md, "Windows".
 *
 * @module
 */

/** This bit of CREDIT says that a window has grown, and nothing was taken. */
export const GROWN = 0x8000_0000;

/**
 * What takes so many times as long as the fastest, and the turn of a reader more,
 * in milliseconds, passes for a round trip: radio and busy machines make them
 * uneven.
 */
const SLACK = 1.5;
const TURN_MS = 1;

/** A window that lets through so many bytes in a millisecond is large enough. */
const MOST_BYTES_PER_MS = 262_144;

/** What the windows of a session have in common. */
export interface Growth {
  /**
   * The fastest way of credit there and of bytes back, in milliseconds, on the
   * present connection; at first what the handshake took for a round trip.
   */
  fastestMs: number;
  /** Bytes that they have grown by, all together, and may at most. */
  grown: number;
  readonly most: number;
  /** Bytes that one of them has grown by on the present connection. */
  known: number;
}

/**
 * A window grows when its sender has had to wait for credit although the reader
 * was not behind. What shows it is the first byte that could not leave without
 * some credit: little else is there to be read, and it comes no later than one
 * round trip after that credit was given. The fastest such time is taken for the
 * round trip, so bytes that queue on a slow line make no window larger, and
 * nothing that a peer says does. The first step need not wait for that byte: all
 * of a window that has come within a small part of a round trip shows the same.
 * What one has found out, the next begins with.
 */
export class Window {
  /** Bytes that a reader may have to hold; for others to read. */
  size: number;
  /** Bytes that the sender may still send; for others to read. */
  allowed: number;
  readonly #growth: Growth;
  readonly #initial: number;
  /** Taken by the reader, and not yet given back as credit. */
  #taken = 0;
  /** So much of it is given back together. */
  #step: number;
  /** Bytes to come for which the sender needs no credit of `#since` or later. */
  #ahead = 0;
  /** Less than 0: there was no credit, and that was when the first byte came. */
  #since = 0;

  constructor(size: number, growth: Growth) {
    this.size = this.allowed = this.#initial = size;
    this.#growth = growth;
    this.#step = size / 2;
  }

  /**
   * Its reader waits for the first byte. Returns the credit to give at once: what
   * one before it has grown by on this connection. While any has grown there is
   * none, and half stays free, so that who waits for little leaves that to others.
   */
  begin(): number {
    const { grown, known, most } = this.#growth;
    return grown ? 0 : this.#grow(Math.min(known, most >> 1));
  }

  /**
   * So many bytes have come, no more than are allowed; their reader has not taken
   * `held` of those before. Returns the credit to give at once: 0 unless the
   * window has grown by so much.
   */
  arrived(bytes: number, held: number): number {
    const { size } = this;
    const growth = this.#growth;
    this.allowed -= bytes;
    this.#ahead -= bytes;
    if (this.#ahead >= 0) return 0;
    const since = this.#since;
    let ms = performance.now() - Math.abs(since);
    if (!since) {
      this.#since = -ms;
      this.#ahead = size - bytes - 1;
      return 0;
    }
    this.#ahead = Infinity;
    let fastest = growth.fastestMs;
    // What has come within a quarter has left the line empty for the rest of it.
    if (since < 0) ms = (ms + TURN_MS) * 4 < fastest ? fastest : Infinity;
    fastest = growth.fastestMs = Math.min(fastest, ms);
    if (
      held * 4 > size - bytes || ms - TURN_MS > fastest * SLACK ||
      size > ms * MOST_BYTES_PER_MS
    ) return 0;
    // The next credit shows whether it is to grow further.
    this.#step = 0;
    return this.#grow(Math.min(size * 3, growth.most - growth.grown));
  }

  #grow(more: number): number {
    const growth = this.#growth;
    growth.grown += more;
    this.size += more;
    this.allowed += more;
    growth.known = Math.max(growth.known, this.size - this.#initial);
    return more && more + GROWN;
  }

  /** The reader has taken so many bytes. Returns the credit to give for them, or 0. */
  taken(bytes: number): number {
    const credit = this.#taken += bytes;
    if (credit < this.#step) return 0;
    // Small for a window that has grown: half of it would come a round trip later.
    this.#step = Math.max(this.#initial / 2, this.size / 16);
    if (this.#ahead === Infinity) {
      this.#ahead = this.allowed;
      this.#since = performance.now();
    }
    this.allowed += credit;
    this.#taken = 0;
    return credit;
  }

  /**
   * No more is wanted or will come, and `held` is what its reader has not taken
   * yet: what it has grown by beyond that is for others. It grows no more. To be
   * called again as that becomes less, and `taken` no longer.
   */
  end(held: number): void {
    const size = Math.max(this.#initial, held);
    this.#growth.grown -= this.size - size;
    this.size = size;
    this.#ahead = Infinity;
  }
}
