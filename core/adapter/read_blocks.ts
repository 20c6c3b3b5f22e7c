/**
 * Memory for what is read from pipes, used again and again: Node takes new memory
 * for each chunk, which costs several times the read itself.
 *
 * @module
 */

/** A command that prints a line should not cost more than that takes. */
const FIRST_BYTES = 4 * 1024;

/** What one read asks for at most; a pipe of Linux holds as much. */
const MOST_BYTES = 64 * 1024;

/** As many blocks are kept for other pipes: 4 MiB at most. */
const MOST_SPARE = 64;

interface Block {
  readonly buffer: ArrayBuffer;
  /** Chunks of it that somebody may still look at. */
  lent: number;
  /** Whether more is to be read into it. */
  open: boolean;
}

const blocks = new WeakMap<ArrayBufferLike, Block>();

/** Of the largest size, that nobody looks at any more. */
const spare: Block[] = [];

/** As `ProcessHandle.recycle`. */
export function recycle({ buffer }: Uint8Array): void {
  const block = blocks.get(buffer);
  if (block === undefined) return;
  block.lent--;
  keepSpare(block);
}

function keepSpare(block: Block): void {
  if (
    block.lent === 0 && !block.open &&
    block.buffer.byteLength === MOST_BYTES && spare.length < MOST_SPARE
  ) spare.push(block);
}

function makeBlock(size: number): Block {
  const used = size === MOST_BYTES ? spare.pop() : undefined;
  if (used !== undefined) {
    used.open = true;
    return used;
  }
  const block = { buffer: new ArrayBuffer(size), lent: 0, open: true };
  blocks.set(block.buffer, block);
  return block;
}

/**
 * The blocks of one pipe. Chunks lie one behind the other, so that many small
 * ones cost as little as a large one; blocks grow with what comes in.
 */
export class ReadBlocks {
  #size = FIRST_BYTES;
  #block = makeBlock(FIRST_BYTES);
  #used = 0;

  /** Where to read into. */
  next(): Uint8Array {
    if (this.#block.lent === 0) this.#used = 0;
    const { byteLength } = this.#block.buffer;
    const isFull = byteLength - this.#used < byteLength / 4;
    if (isFull || byteLength < this.#size) {
      this.#block.open = false;
      keepSpare(this.#block);
      this.#block = makeBlock(this.#size);
      this.#used = 0;
    }
    return new Uint8Array(this.#block.buffer, this.#used);
  }

  /** What a read has put where `next` said. */
  take(length: number): Uint8Array {
    const { buffer } = this.#block;
    const chunk = new Uint8Array(buffer, this.#used, length);
    this.#used += length;
    this.#block.lent++;
    if (this.#used === buffer.byteLength) {
      this.#size = Math.min(buffer.byteLength * 4, MOST_BYTES);
    }
    return chunk;
  }
}
