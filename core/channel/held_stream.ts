/**
 * A stream that may be filled, stopped and ended before its first frame may leave.
 *
 * @module
 */

import { type Frame, FrameType } from "../frame/frame.ts";
import type { FrameSink } from "./frame_sink.ts";
import { SendStream } from "./send_stream.ts";

interface Chunk {
  /** Bytes that the writer does not have yet, and that may still be looked at. */
  left: number;
  lent: number;
  readonly recycle: (() => void) | undefined;
}

/** Sends nothing, not even an END, until `release`. */
export class HeldStream extends SendStream {
  readonly #sink: FrameSink;
  #held = true;
  /** Those of which not all is with the writer. */
  readonly #chunks: Chunk[] = [];

  constructor(
    sink: FrameSink,
    channel: number,
    stream: number,
    credit: number,
  ) {
    super(sink, channel, stream, credit);
    this.#sink = sink;
  }

  /** Sends what has come together meanwhile. */
  release(): void {
    this.#held = false;
    this.#sink.schedule(this);
  }

  /** `recycle` is called when nobody needs the chunk's memory, if ever. */
  override push(chunk: Uint8Array, recycle?: () => void): void {
    super.push(chunk);
    const { byteLength } = chunk;
    if (byteLength === 0) return;
    this.#chunks.push({ left: byteLength, lent: byteLength, recycle });
  }

  override nextFrame(maxPayload: number): Frame | null {
    if (this.#held) return null;
    const frame = super.nextFrame(maxPayload);
    if (frame?.type !== FrameType.DATA) return frame;
    const [chunk] = this.#chunks;
    const { type, stream, channel, payload } = frame;
    const { byteLength } = payload;
    chunk.left -= byteLength;
    if (chunk.left === 0) this.#chunks.shift();
    if (chunk.recycle === undefined) return frame;
    // By name: a copy of an object with more in it takes several times as long.
    return {
      type,
      stream,
      channel,
      payload,
      recycle: () => giveBack(chunk, byteLength),
    };
  }
}

/** Each frame by itself: of one that is lost, the chunk is never given back. */
function giveBack(chunk: Chunk, bytes: number): void {
  chunk.lent -= bytes;
  if (chunk.lent === 0) chunk.recycle?.();
}
