/**
 * Memory for reads.
 *
 * @module
 */

/** A command that prints a line should not cost more than that takes. */
const FIRST_BYTES = 4 * 1024;

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

/**
 * Memory that grows with what comes in. A chunk that fills little of it is
 * copied into memory of its own and the rest is used again; a large one is
 * given out as it is and never touched again, unless it is given back.
 */
export class ReadBuffer {
  #size = FIRST_BYTES;
  #spare: ArrayBuffer | null = null;

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
    if (byteLength < Math.min(buffer.byteLength, MOST_BYTES) / 4) {
      const isLarge = buffer.byteLength > MOST_BYTES;
      if (isLarge && byteLength < FIRST_BYTES) this.#shrink(buffer);
      else this.#spare = buffer;
      return filled.slice();
    }
    if (byteLength === buffer.byteLength) {
      this.#size = Math.min(buffer.byteLength * 4, MOST_BYTES);
    }
    return filled;
  }

  /** A connection that has become idle waits with a small one. */
  #shrink(buffer: ArrayBuffer): void {
    this.#size = FIRST_BYTES;
    if (large.length < MOST_LARGE) large.push(buffer);
  }

  #more(): ArrayBuffer {
    const used = this.#size === MOST_BYTES ? spare.pop() : undefined;
    return used ?? new ArrayBuffer(this.#size);
  }
}
