/**
 * Bytes that arrived before anybody asked for them.
 *
 * @module
 */

/** Pieces below this are gathered in blocks of their own. */
const SMALL_BYTES = 4_096;
const BLOCK_BYTES = 16_384;

/**
 * A queue whose memory is in proportion to the bytes in it. A piece is a view
 * of a network chunk, and would keep all of that chunk alive: a stalled stream
 * of one-byte frames could hold 65,536 times its window. So small pieces are
 * copied together into blocks, the larger the more wait, and a piece that is less
 * than half of its buffer is copied out. Large ones, the bulk of any fast stream,
 * are kept as they are.
 */
export class ByteQueue {
  /** Whether it gives out copies, and keeps none of what it is given. */
  declare readonly copies?: true;
  readonly #pieces: Uint8Array[] = [];
  /** Free space at the end of the last piece, if that is one of our blocks. */
  #free = 0;
  /** Bytes in the queue; for others to read. */
  byteLength = 0;

  push(piece: Uint8Array): void {
    this.byteLength += piece.byteLength;
    if (piece.byteLength >= SMALL_BYTES) {
      const dense = piece.byteLength * 2 >= piece.buffer.byteLength;
      this.#pieces.push(dense ? piece : piece.slice());
      this.#free = 0;
      return;
    }
    const fitting = Math.min(this.#free, piece.byteLength);
    if (fitting > 0) this.#append(piece.subarray(0, fitting));
    if (fitting < piece.byteLength) {
      // For a reader that is one piece behind, a large one each time would cost
      // more than all else.
      this.#free = Math.min(this.byteLength * 4, BLOCK_BYTES);
      this.#pieces.push(new Uint8Array(this.#free).subarray(0, 0));
      this.#append(piece.subarray(fitting));
    }
  }

  /** The oldest piece, or undefined. */
  shift(): Uint8Array | undefined {
    const piece = this.#pieces.shift();
    if (piece !== undefined) this.byteLength -= piece.byteLength;
    if (this.byteLength === 0) this.#free = 0;
    return piece;
  }

  /** What may be given out in place of a piece that need not wait. */
  pass(piece: Uint8Array): Uint8Array {
    return piece;
  }

  /** Drops everything. */
  clear(): void {
    this.#pieces.length = 0;
    this.#free = 0;
    this.byteLength = 0;
  }

  #append(bytes: Uint8Array): void {
    const { buffer, byteOffset, byteLength } = this.#pieces.pop()!;
    const longer = new Uint8Array(
      buffer,
      byteOffset,
      byteLength + bytes.byteLength,
    );
    longer.set(bytes, byteLength);
    this.#pieces.push(longer);
    this.#free -= bytes.byteLength;
  }
}
