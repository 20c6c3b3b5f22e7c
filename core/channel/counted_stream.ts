/**
 * A stream whose sender wants to know how much the reader has taken for sure.
 *
 * @module
 */

import { HeldStream } from "./held_stream.ts";
import type { FrameSink } from "./frame_sink.ts";

/** See the module's description. */
export class CountedStream extends HeldStream {
  /** What the reader lets us send before its first CREDIT, in bytes. */
  readonly window: number;
  #taken = 0;
  /** Told whenever the reader has taken more, of all it has taken, in bytes. */
  onTaken: ((taken: number) => void) | null = null;

  constructor(
    sink: FrameSink,
    channel: number,
    stream: number,
    credit: number,
  ) {
    super(sink, channel, stream, credit);
    this.window = credit;
  }

  override addCredit(bytes: number): void {
    super.addCredit(bytes);
    this.#taken += bytes;
    this.onTaken?.(this.#taken);
  }
}
