/**
 * A stream that may be filled, stopped and ended before its first frame may leave.
 *
 * @module
 */

import { type Frame, FrameType } from "../frame/frame.ts";
import type { FrameSink } from "./frame_sink.ts";
import { SendStream } from "./send_stream.ts";

/** Sends nothing, not even an END, until `release`. */
export class HeldStream extends SendStream {
  readonly #sink: FrameSink;
  #held = true;
  /** Bytes pushed, and given to the writer. */
  #pushed = 0;
  #given = 0;
  /** Chunks whose memory is lent: where each ends, and who gets it back. */
  readonly #lent: { readonly end: number; readonly recycle: () => void }[] = [];

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
    this.#pushed += chunk.byteLength;
    if (recycle !== undefined) this.#lent.push({ end: this.#pushed, recycle });
  }

  override nextFrame(maxPayload: number): Frame | null {
    if (this.#held) return null;
    const frame = super.nextFrame(maxPayload);
    if (frame?.type !== FrameType.DATA) return frame;
    this.#given += frame.payload.byteLength;
    // The frames of a chunk are over in their order.
    if (this.#lent[0]?.end !== this.#given) return frame;
    return { ...frame, recycle: this.#lent.shift()!.recycle };
  }
}
