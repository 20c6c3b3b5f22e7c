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
  readonly #pieces: Uint8Array[] = [];
  #head = 0;
  /** Free space at the end of the last piece, if that is one of our blocks. */
  #free = 0;
  #bytes = 0;

  /** Bytes in the queue. */
  get byteLength(): number {
    return this.#bytes;
  }

  push(piece: Uint8Array): void {
    this.#bytes += piece.byteLength;
    if (piece.byteLength >= SMALL_BYTES) {
      const dense = piece.byteLength * 2 >= piece.buffer.byteLength;
      this.#pieces.push(dense ? piece : piece.slice());
      this.#free = 0;
      return;
    }
    const fitting = Math.min(this.#free, piece.byteLength);
    if (fitting > 0) this.#append(piece.subarray(0, fitting));
    if (fitting < piece.byteLength) {
      const rest = piece.subarray(fitting);
      // For a reader that is one piece behind, a large one each time would cost
      // more than all else.
      const room = Math.min(this.#bytes * 4, BLOCK_BYTES);
      const block = new Uint8Array(room);
      block.set(rest);
      this.#pieces.push(block.subarray(0, rest.byteLength));
      this.#free = room - rest.byteLength;
    }
  }

  /** The oldest piece, or undefined. */
  shift(): Uint8Array | undefined {
    const piece = this.#pieces[this.#head];
    if (piece === undefined) return undefined;
    this.#bytes -= piece.byteLength;
    this.#head++;
    if (this.#head === this.#pieces.length) {
      this.clear();
    } else if (this.#head >= 64 && this.#head * 2 >= this.#pieces.length) {
      this.#pieces.splice(0, this.#head);
      this.#head = 0;
    }
    return piece;
  }

  /** Drops everything. */
  clear(): void {
    this.#pieces.length = 0;
    this.#head = 0;
    this.#free = 0;
    this.#bytes = 0;
  }

  #append(bytes: Uint8Array): void {
    const last = this.#pieces.length - 1;
    const view = this.#pieces[last];
    const longer = new Uint8Array(
      view.buffer,
      view.byteOffset,
      view.byteLength + bytes.byteLength,
    );
    longer.set(bytes, view.byteLength);
    this.#pieces[last] = longer;
    this.#free -= bytes.byteLength;
  }
}
