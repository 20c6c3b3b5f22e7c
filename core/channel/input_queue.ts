/**
 * Bytes on their way to a process, in memory that is used again.
 *
 * @module
 */

import { ByteQueue } from "./byte_queue.ts";

/** As much is given out at once, and lies in one piece of memory, at most. */
const BLOCK_BYTES = 131_072;

/** As many of the largest blocks are kept for other queues: 4 MiB at most. */
const MOST_SPARE = 32;

/** Of the largest size, that nobody looks at any more. */
const spare: Uint8Array[] = [];

interface Block {
  readonly memory: Uint8Array;
  /** What was given out ends here, and what has come there. */
  from: number;
  to: number;
}

/**
 * Copies what comes, so that nobody looks any more at the chunk that it came in,
 * and what has come in several frames leaves in one piece. Who takes a piece is
 * over with the one before it.
 */
export class InputQueue extends ByteQueue {
  override readonly copies = true;
  readonly #blocks: Block[] = [];

  /** Takes over what has come before. */
  constructor(former: ByteQueue) {
    super();
    for (let piece; (piece = former.shift()) !== undefined;) this.push(piece);
  }

  override push(piece: Uint8Array): void {
    this.byteLength += piece.byteLength;
    for (let rest = piece; rest.byteLength > 0;) {
      const block = this.#room();
      const fitting = rest.subarray(0, block.memory.byteLength - block.to);
      block.memory.set(fitting, block.to);
      block.to += fitting.byteLength;
      rest = rest.subarray(fitting.byteLength);
    }
  }

  override pass(piece: Uint8Array): Uint8Array {
    this.push(piece);
    return this.shift()!;
  }

  override shift(): Uint8Array | undefined {
    for (let block; (block = this.#blocks[0]) !== undefined;) {
      const { memory, from, to } = block;
      if (from < to) {
        block.from = to;
        this.byteLength -= to - from;
        return memory.subarray(from, to);
      }
      this.#blocks.shift();
      keepSpare(memory);
    }
  }

  /** What is being written somewhere may be looked at for as long as that takes. */
  override clear(): void {
    this.#blocks.length = 0;
    this.byteLength = 0;
  }

  /** The block that the next bytes go to. */
  #room(): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.to < last.memory.byteLength) return last;
    // In proportion to what waits: most input is a key, or a line. What is not that
    // small gets a block that is used again.
    const size = Math.min(this.byteLength * 8, BLOCK_BYTES);
    const used = size === BLOCK_BYTES ? spare.pop() : undefined;
    const block = { memory: used ?? new Uint8Array(size), from: 0, to: 0 };
    this.#blocks.push(block);
    return block;
  }
}

function keepSpare(memory: Uint8Array): void {
  if (memory.byteLength === BLOCK_BYTES && spare.length < MOST_SPARE) {
    spare.push(memory);
  }
}
