/**
 * Memory for reads.
 *
 * @module
 */

/** A command that prints a line should not cost more than that takes. */
const FIRST_BYTES = 4 * 1024;

/** A read of a connection that does nothing has its memory all the same. */
export const IDLE_BYTES = 1024;

/** What one read asks for at most. */
const MOST_BYTES = 64 * 1024;

/** And where it is given back: a socket may hold several frames. */
const MOST_RETURNED_BYTES = 256 * 1024;

/** As much as this is kept for other reads, of all pipes and sockets. */
const MOST_SPARE = 64;

/** Of the largest size, that nobody looks at any more. */
const spare: ArrayBuffer[] = [];

/** And of what is given back. */
const MOST_LARGE = 8;
const large: ArrayBuffer[] = [];

/** As `ProcessHandle.recycle`. */
export function recycle({ buffer }: Uint8Array): void {
  if (
    buffer instanceof ArrayBuffer && buffer.byteLength === MOST_BYTES &&
    spare.length < MOST_SPARE
  ) spare.push(buffer);
}

/** After so many small reads in a row there will be no large one soon. */
const FEW_READS = 4;

/**
 * Memory that grows with what comes in, and shrinks. A chunk that fills little of
 * it is copied into memory of its own and the rest is used again; a large one is
 * given out as it is and never touched again, unless it is given back.
 */
export class ReadBuffer {
  readonly #first: number;
  #size: number;
  #spare: ArrayBuffer | null = null;
  #smallReads = 0;

  /** `first`: the bytes that it begins with, and has again when little comes. */
  constructor(first: number = FIRST_BYTES) {
    this.#first = first;
    this.#size = first;
  }

  /** Where to read into. */
  next(): Uint8Array<ArrayBuffer> {
    const buffer = this.#spare ?? this.#more();
    this.#spare = null;
    return new Uint8Array(buffer);
  }

  /** Nobody looks any more at what `take` has given out last. */
  again(chunk: Uint8Array<ArrayBuffer>): void {
    const { buffer, byteLength } = chunk;
    // Not worth it, or a copy.
    if (byteLength <= MOST_BYTES / 4) return;
    if (byteLength === MOST_BYTES && byteLength === buffer.byteLength) {
      recycle(chunk);
      this.#spare = large.pop() ?? new ArrayBuffer(MOST_RETURNED_BYTES);
    } else this.#spare = buffer;
  }

  /** What a read has put at the beginning of `filled.buffer`. */
  take(filled: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { buffer, byteLength } = filled;
    const isSmall = byteLength < FIRST_BYTES;
    this.#smallReads = isSmall ? this.#smallReads + 1 : 0;
    if (byteLength < Math.min(buffer.byteLength, MOST_BYTES) / 4) {
      const isLarge = buffer.byteLength > MOST_BYTES;
      const shrinks = this.#smallReads >= FEW_READS && this.#size > this.#first;
      if (shrinks || isLarge && isSmall) this.#shrink(filled);
      else this.#spare = buffer;
      return filled.slice();
    }
    if (byteLength === buffer.byteLength) {
      this.#size = Math.min(buffer.byteLength * 4, MOST_BYTES);
    }
    return filled;
  }

  /** A connection that has become idle waits with a small one. */
  #shrink(filled: Uint8Array<ArrayBuffer>): void {
    this.#size = this.#first;
    if (filled.buffer.byteLength <= MOST_BYTES) recycle(filled);
    else if (large.length < MOST_LARGE) large.push(filled.buffer);
  }

  #more(): ArrayBuffer {
    const used = this.#size === MOST_BYTES ? spare.pop() : undefined;
    return used ?? new ArrayBuffer(this.#size);
  }
}
