/**
 * The sending half of one byte stream of a channel.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { brief, encodeControl } from "../frame/control.ts";
import { type Frame, FrameType } from "../frame/frame.ts";
import type { FrameSink, FrameSource } from "./frame_sink.ts";

/** Largest sum of credit: PROTOCOL.md, "Windows". */
const MAX_CREDIT = 0x7fff_ffff;

/**
 * Takes chunks, sends them within the reader's credit when the writer gives it
 * a turn, and ends with END or ABORT. Chunks are sent as views: whoever pushes
 * one leaves its bytes alone until `whenBelow` says that they are gone.
 */
export class SendStream implements FrameSource {
  readonly #sink: FrameSink;
  readonly #channel: number;
  readonly #stream: number;
  #credit: number;
  #chunks: Uint8Array[] = [];
  /** Bytes pushed and not yet with the transport. */
  #unsent = 0;
  #total = 0;
  #ending: object | null = null;
  #finished = false;
  /** Why nothing more is taken; set by the reader's STOP or our ABORT. */
  #refusal: LimpetError | null = null;
  #waiter: { below: number; wake: () => void } | null = null;
  /** Told once when the reader wants no more. */
  onStop: (() => void) | null = null;
  /** Told once when nothing more is taken, for whatever reason. */
  onRefused: ((error: LimpetError) => void) | null = null;
  /** Told once when END or ABORT has been given to the writer. */
  onFinished: (() => void) | null = null;

  constructor(
    sink: FrameSink,
    channel: number,
    stream: number,
    credit: number,
  ) {
    this.#sink = sink;
    this.#channel = channel;
    this.#stream = stream;
    this.#credit = credit;
  }

  /** Whether END or ABORT is with the writer. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Takes a chunk. Throws `broken_pipe` when the reader wants no more. */
  push(chunk: Uint8Array): void {
    if (this.#refusal !== null) throw this.#refusal;
    if (chunk.byteLength === 0) return;
    this.#chunks.push(chunk);
    this.#unsent += chunk.byteLength;
    if (this.#credit > 0) this.#sink.schedule(this);
  }

  /**
   * Settles once fewer than `bytes` are unsent; 1 means all is with the
   * transport. One waiter at a time. Rejects as `push` throws.
   */
  async whenBelow(bytes: number): Promise<void> {
    while (this.#refusal === null && this.#unsent >= bytes) {
      await new Promise<void>((wake) => {
        this.#waiter = { below: bytes, wake };
      });
    }
    if (this.#refusal !== null) throw this.#refusal;
  }

  /** Ends the stream after what was pushed. `facts` go into END. */
  end(facts: { heldOpen?: true } = {}): void {
    if (this.#ending !== null || this.#finished) return;
    this.#ending = facts;
    this.#sink.schedule(this);
  }

  /** Ends the stream as incomplete; what is queued is dropped. */
  abort(code: string, message: string): void {
    // After STOP the reader gets its END, and does not care what is missing.
    if (this.#finished || this.#refusal !== null) return;
    this.#drop(new LimpetError("cancelled", `Stream aborted: ${message}`));
    this.#finish();
    this.#sink.control(FrameType.ABORT, this.#stream, this.#channel, {
      code,
      message: brief(message),
    });
  }

  /** CREDIT has come. Throws `limit_exceeded` past the bound. */
  addCredit(credit: number): void {
    const bytes = credit & MAX_CREDIT;
    if (this.#credit + bytes > MAX_CREDIT) {
      throw new LimpetError(
        "limit_exceeded",
        `Peer granted more than ${MAX_CREDIT} bytes of credit on channel ` +
          `${this.#channel}`,
      );
    }
    this.#credit += bytes;
    if (this.#chunks.length > 0) this.#sink.schedule(this);
  }

  /** The reader wants no more. */
  stop(): void {
    if (this.#finished || this.#refusal !== null) return;
    this.#drop(
      new LimpetError("broken_pipe", "The reader of this stream has closed it"),
    );
    // Also if it was to end already, after what has just been dropped.
    this.#ending ??= {};
    this.#sink.schedule(this);
    this.onStop?.();
  }

  /** The channel or the session is gone: nothing is sent any more. */
  fail(error: LimpetError): void {
    if (this.#refusal === null) this.#drop(error);
    this.#finish();
  }

  nextFrame(maxPayload: number): Frame | null {
    const first = this.#chunks[0];
    if (first !== undefined && this.#credit > 0) {
      const size = Math.min(first.byteLength, this.#credit, maxPayload);
      if (size === first.byteLength) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(size);
      this.#credit -= size;
      this.#total += size;
      return this.#frame(FrameType.DATA, first.subarray(0, size));
    }
    if (first !== undefined || this.#ending === null || this.#finished) {
      return null;
    }
    const end = encodeControl({ bytes: this.#total, ...this.#ending });
    this.#finish();
    return this.#frame(FrameType.END, end);
  }

  sent(bytes: number): void {
    this.#unsent = Math.max(0, this.#unsent - bytes);
    if (this.#waiter !== null && this.#unsent < this.#waiter.below) {
      this.#wake();
    }
  }

  #frame(type: number, payload: Uint8Array): Frame {
    return { type, stream: this.#stream, channel: this.#channel, payload };
  }

  #drop(reason: LimpetError): void {
    this.#refusal = reason;
    this.#chunks = [];
    this.#unsent = 0;
    this.#wake();
    this.onRefused?.(reason);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.onFinished?.();
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.wake();
  }
}
