/**
 * The one writer of a session: control first, then one frame of each stream
 * that has data and credit, round and round.
 *
 * @module
 */

import type { FrameSink, FrameSource } from "../channel/frame_sink.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { encodeControl } from "../frame/control.ts";
import { type Frame, FrameType, KEPT_FRAME_BYTES } from "../frame/frame.ts";
import type { Link } from "../link/link.ts";
import type { Holder } from "../memory.ts";
import { splitControl } from "./parts.ts";

/**
 * How much is handed to the link at once. Large enough that one system call
 * carries several frames, small enough that a control frame which comes a
 * moment later does not wait long.
 */
const BATCH_BYTES = 262_144;

/** The bounds that a writer keeps. */
export interface WriterLimits {
  /** Largest payload the peer takes, in bytes. */
  readonly frameBytes: number;
  /** Largest control message the peer takes in parts, in bytes. */
  readonly controlBytes: number;
  /** Memory that control may wait in while the peer does not read, in bytes. */
  readonly queuedBytes: number;
  /** For the memory of control that waits. */
  readonly hold?: Holder;
}

/** See the module's description. */
export class FrameWriter implements FrameSink {
  readonly #link: Link;
  readonly #limits: WriterLimits;
  readonly #onError: (error: LimpetError) => void;
  #controls: { readonly frame: Frame; readonly bytes: number }[] = [];
  #controlBytes = 0;
  /** Each has its turn when it is the first. */
  readonly #sources = new Set<FrameSource>();
  #running: Promise<void> | null = null;
  #held: boolean;
  #closed = false;

  constructor(
    link: Link,
    limits: WriterLimits,
    onError: (error: LimpetError) => void,
    holdData: boolean = false,
  ) {
    this.#held = holdData;
    this.#link = link;
    this.#limits = limits;
    this.#onError = onError;
  }

  control(type: number, stream: number, channel: number, body: object): void {
    const payload = encodeControl(body);
    const { frameBytes, controlBytes } = this.#limits;
    const most = Math.max(frameBytes, controlBytes);
    if (payload.byteLength > most) {
      const error = new LimpetError(
        "limit_exceeded",
        `Message of ${payload.byteLength} bytes is over the peer's ${most}`,
      );
      // A request is the caller's to shorten; for an answer there is no other.
      if (type === FrameType.OPEN) throw error;
      return this.#fail(error);
    }
    this.raw({ type, stream, channel, payload });
  }

  raw(frame: Frame): void {
    if (this.#closed) return;
    // Requests are the caller's own memory, and bounded by maxChannels; what a
    // peer can make us say is what must not pile up.
    const counts = frame.type !== FrameType.OPEN;
    const frames = splitControl(frame, this.#limits.frameBytes);
    for (const each of frames) {
      const bytes = counts ? each.payload.byteLength + KEPT_FRAME_BYTES : 0;
      this.#controls.push({ frame: each, bytes });
      this.#controlBytes += bytes;
    }
    const { queuedBytes, hold } = this.#limits;
    if (
      this.#controlBytes > queuedBytes ||
      hold?.hold(this.#controlBytes) === false
    ) {
      return this.#fail(
        new LimpetError(
          "limit_exceeded",
          `Peer does not read: ${this.#controlBytes} bytes of messages wait ` +
            "for it",
        ),
      );
    }
    this.#wake();
  }

  schedule(source: FrameSource): void {
    if (this.#closed) return;
    this.#sources.add(source);
    if (!this.#held) this.#wake();
  }

  /** Lets data go, if it was held until the peer is known. */
  releaseData(): void {
    this.#held = false;
    if (this.#sources.size > 0) this.#wake();
  }

  /** Sends what control is queued, then `last`, and nothing after it. */
  async finish(last: Frame | null): Promise<void> {
    if (last !== null) this.raw(last);
    this.#closed = true;
    this.#sources.clear();
    await this.#running;
  }

  /** Frames queued in the same turn of the event loop leave in one batch. */
  #wake(): void {
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  async #run(): Promise<void> {
    try {
      while (this.#controls.length > 0 || this.#hasData) {
        await this.#sendBatch();
      }
    } catch (error) {
      this.#fail(asLimpetError(error, "connection_lost", "Connection lost"));
    }
    this.#running = null;
  }

  get #hasData(): boolean {
    return !this.#held && this.#sources.size > 0;
  }

  async #sendBatch(): Promise<void> {
    const batch: Frame[] = [];
    const data: [source: FrameSource, bytes: number][] = [];
    let bytes = 0;
    let count = 0;
    while (count < this.#controls.length && bytes < BATCH_BYTES) {
      const { frame, bytes: counted } = this.#controls[count++];
      bytes += frame.payload.byteLength;
      this.#controlBytes -= counted;
      batch.push(frame);
    }
    this.#controls = this.#controls.slice(count);
    this.#limits.hold?.hold(this.#controlBytes);
    // Parts of one message may have nothing between them: no data until all
    // control is out.
    while (
      this.#controls.length === 0 && this.#hasData && bytes < BATCH_BYTES
    ) {
      const [source] = this.#sources;
      const frame = source.nextFrame(this.#limits.frameBytes);
      this.#sources.delete(source);
      if (frame === null) continue;
      this.#sources.add(source);
      const { byteLength } = frame.payload;
      if (frame.type === FrameType.DATA) data.push([source, byteLength]);
      batch.push(frame);
      bytes += byteLength;
    }
    if (batch.length === 0) return;
    await this.#link.send(batch);
    for (const [source, bytes] of data) source.sent(bytes);
  }

  #fail(error: LimpetError): void {
    this.#closed = true;
    this.#controls = [];
    this.#limits.hold?.hold(0);
    this.#sources.clear();
    this.#onError(error);
  }
}
