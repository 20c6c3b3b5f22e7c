/**
 * The receiving half of one byte stream of a channel.
 *
 * @module
 */

import { EMPTY } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import { FrameType, STDERR } from "../frame/frame.ts";
import { ByteQueue } from "./byte_queue.ts";
import type { FrameSink } from "./frame_sink.ts";
import { type Growth, Window } from "./window.ts";

/**
 * Holds at most one window of bytes. Credit is granted when the user takes
 * bytes out of `readable`, never when they arrive. What arrived before a loss
 * can still be read; then `readable` errors. It closes only when the sender's
 * END has come and its total is right.
 */
export class ReceiveStream {
  /** The bytes, for the user. Cancelling it sends STOP. */
  readonly readable: ReadableStream<Uint8Array>;
  readonly #sink: FrameSink;
  readonly #channel: number;
  readonly #stream: number;
  readonly #window: Window;
  /** Of another kind where there is a better one. */
  queue: ByteQueue = new ByteQueue();
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** A read is waiting: the next bytes go straight to it. */
  #wanted = false;
  #total = 0;
  #stopped = false;
  /** END or ABORT has come: whatever else comes is a mistake. */
  endedByPeer = false;
  /** The sender stopped waiting for what the command had left behind. */
  heldOpen = false;
  /** Set when nothing more will come: null for a clean end. */
  #outcome: LimpetError | null | undefined;
  /** Told once when END or ABORT has come, or the session is lost. */
  onFinished: (() => void) | null = null;
  /** Told once when the peer has cut it off, however much is still to be read. */
  onAborted: (() => void) | null = null;

  constructor(
    sink: FrameSink,
    channel: number,
    stream: number,
    window: number,
    growth: Growth,
  ) {
    this.#sink = sink;
    this.#channel = channel;
    this.#stream = stream;
    this.#window = new Window(window, growth);
    // A high-water mark of 0: the stream itself holds nothing, so that taking
    // a chunk out of it is the user's consumption and no one else's.
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => this.#stop(),
    }, { highWaterMark: 0 });
  }

  /** Whether all of the stream is here; false after a loss. */
  get complete(): boolean {
    return this.#outcome === null && !this.#stopped;
  }

  /** Whether nothing more will come. */
  get finished(): boolean {
    return this.#outcome !== undefined;
  }

  /**
   * DATA has come; see `LinkReceiver.frame`. Throws when it is more than was
   * allowed.
   */
  data(payload: Uint8Array): true | void {
    const { byteLength } = payload;
    const { allowed } = this.#window;
    if (byteLength > allowed) {
      throw new LimpetError(
        "limit_exceeded",
        `Peer sent DATA on channel ${this.#channel}, stream ${this.#stream}, ` +
          `of ${byteLength} instead of at most ${allowed} bytes`,
      );
    }
    this.#grant(this.#window.arrived(byteLength, this.queue.byteLength));
    this.#total += byteLength;
    if (this.#stopped || this.finished || byteLength === 0) return;
    if (this.#wanted) {
      this.#wanted = false;
      this.#give(this.queue.pass(payload));
    } else {
      this.queue.push(payload);
    }
    return this.queue.copies;
  }

  /** END has come. If bytes are missing, what came is no whole stream. */
  end(bytes: number, heldOpen: boolean): void {
    this.endedByPeer = true;
    if (this.finished) return;
    this.heldOpen = heldOpen;
    const missing = bytes === this.#total ? null : new LimpetError(
      "connection_lost",
      `Stream ended after ${this.#total} of ${bytes} bytes`,
    );
    this.#finish(missing);
    if (missing) this.onAborted?.();
  }

  /** ABORT has come. */
  abort(error: LimpetError): void {
    this.endedByPeer = true;
    this.fail(error);
    this.onAborted?.();
  }

  /** Nothing more is wanted or will come: the session or command is over. */
  fail(error: LimpetError): void {
    if (!this.finished) this.#finish(error);
  }

  /** The user wants no more. */
  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.queue.clear();
    this.#window.end(0);
    if (!this.finished) this.#send(FrameType.STOP, EMPTY);
  }

  #pull(): void {
    const piece = this.queue.shift();
    if (piece !== undefined) this.#give(piece);
    else if (this.finished) this.#settle();
    else {
      this.#wanted = true;
      // Of a command's two outputs the first one is what fills a line.
      if (!this.#total && this.#stream < STDERR) {
        this.#grant(this.#window.begin());
      }
    }
  }

  #give(piece: Uint8Array): void {
    this.#controller.enqueue(piece);
    if (this.finished) this.#settle();
    else this.#grant(this.#window.taken(piece.byteLength));
  }

  #grant(credit: number): void {
    if (!credit) return;
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, credit);
    this.#send(FrameType.CREDIT, payload);
  }

  #send(type: number, payload: Uint8Array): void {
    this.#sink.raw({
      type,
      stream: this.#stream,
      channel: this.#channel,
      payload,
    });
  }

  #finish(outcome: LimpetError | null): void {
    this.#outcome = outcome;
    this.#wanted = false;
    this.#settle();
    this.onFinished?.();
  }

  /** Closes or errors the stream once all that arrived is with the user. */
  #settle(): void {
    const { byteLength } = this.queue;
    this.#window.end(byteLength);
    if (this.#stopped || byteLength) return;
    if (this.#outcome) this.#controller.error(this.#outcome);
    else this.#controller.close();
  }
}
