/**
 * A stream that may be filled, stopped and ended before its first frame may leave.
 *
 * @module
 */

import type { Frame } from "../frame/frame.ts";
import type { FrameSink } from "./frame_sink.ts";
import { SendStream } from "./send_stream.ts";

/** Sends nothing, not even an END, until `release`. */
export class HeldStream extends SendStream {
  readonly #sink: FrameSink;
  #held = true;

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

  override nextFrame(maxPayload: number): Frame | null {
    return this.#held ? null : super.nextFrame(maxPayload);
  }
}
