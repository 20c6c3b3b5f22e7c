/**
 * A channel: one conversation among many on a session, with byte streams that
 * each have a window of their own, and messages.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { decodeControl } from "../frame/control.ts";
import { type Frame, FrameType, misplaced } from "../frame/frame.ts";
import type { FrameSink } from "./frame_sink.ts";
import { ReceiveStream } from "./receive_stream.ts";
import { SendStream } from "./send_stream.ts";
import type { Growth } from "./window.ts";

/** What a channel is made with. */
export interface ChannelOptions {
  readonly id: number;
  readonly sink: FrameSink;
  /** Credit that the peer gives each stream we send, in bytes. */
  readonly sendWindow: number;
  /** Credit that we give each stream we receive, in bytes. */
  readonly receiveWindow: number;
  /** By what that may become more. */
  readonly growth: Growth;
  /** Called once when the channel has ended and its number may be forgotten. */
  readonly onEnded: (channel: Channel) => void;
}

/** A class of streams that we send. */
type SendKind<T extends SendStream> = new (
  ...made: ConstructorParameters<typeof SendStream>
) => T;

/** Who understands the messages of a channel. */
export interface ChannelHandler {
  /** A control frame that is not about a stream. What it throws is fatal. */
  message(frame: Frame): void;
  /** The session is over; every stream has failed already. */
  lost(error: LimpetError): void;
}

/** See the module's description. */
export class Channel {
  readonly id: number;
  readonly #options: ChannelOptions;
  readonly #sending = new Map<number, SendStream>();
  readonly #receiving = new Map<number, ReceiveStream>();
  #ended = false;
  /** To be set before the first frame can come. */
  handler: ChannelHandler | null = null;
  /** Whether the peer may send on its streams yet. */
  streamsOpen = true;

  constructor(options: ChannelOptions) {
    this.id = options.id;
    this.#options = options;
  }

  /** Adds a stream that we send, of the usual kind or of another one. */
  addSendStream(stream: number): SendStream;
  addSendStream<T extends SendStream>(stream: number, Kind: SendKind<T>): T;
  addSendStream(
    stream: number,
    Kind: SendKind<SendStream> = SendStream,
  ): SendStream {
    const { sink, sendWindow } = this.#options;
    const added = new Kind(sink, this.id, stream, sendWindow);
    this.#sending.set(stream, added);
    return added;
  }

  /** Adds a stream that we receive. */
  addReceiveStream(stream: number): ReceiveStream {
    const { sink, receiveWindow, growth } = this.#options;
    const added = new ReceiveStream(
      sink,
      this.id,
      stream,
      receiveWindow,
      growth,
    );
    this.#receiving.set(stream, added);
    return added;
  }

  /** Sends a message that is not about a stream. */
  send(type: number, body: object): void {
    if (!this.#ended) this.#options.sink.control(type, 0, this.id, body);
  }

  /** As `LinkReceiver.frame`, for a frame of this channel. */
  receive(frame: Frame): true | void {
    switch (frame.type) {
      case FrameType.DATA:
        return this.#receiver(frame).data(frame.payload);
      case FrameType.END: {
        const fields = decodeControl(frame.payload, "END");
        return this.#receiver(frame).end(
          fields.integer("bytes"),
          fields.boolean("heldOpen", false),
        );
      }
      case FrameType.ABORT: {
        const fields = decodeControl(frame.payload, "ABORT");
        const message = fields.message("message");
        const isCut = fields.text("code") === "limit_exceeded";
        return this.#receiver(frame).abort(
          new LimpetError(
            isCut ? "limit_exceeded" : "connection_lost",
            isCut ? message : `Peer gave up the stream: ${message}`,
          ),
        );
      }
      case FrameType.CREDIT:
        return this.#sender(frame).addCredit(credit(frame));
      case FrameType.STOP:
        checkLength(frame, 0);
        return this.#sender(frame).stop();
      default:
        if (frame.stream !== 0) misplaced(frame);
        this.handler?.message(frame);
    }
  }

  /** The channel is over: late frames for its number are ignored from here. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.onEnded(this);
  }

  /** The session is over. */
  lost(error: LimpetError): void {
    for (const stream of this.#sending.values()) stream.fail(error);
    for (const stream of this.#receiving.values()) stream.fail(error);
    this.handler?.lost(error);
    this.end();
  }

  #receiver(frame: Frame): ReceiveStream {
    if (!this.streamsOpen) misplaced(frame, "before its answer to OPEN");
    const receiver = this.#receiving.get(frame.stream) ?? misplaced(frame);
    if (receiver.endedByPeer) misplaced(frame, "after its end");
    return receiver;
  }

  #sender(frame: Frame): SendStream {
    return this.#sending.get(frame.stream) ?? misplaced(frame);
  }
}

/** Throws `protocol_error` for a payload that is not as long as this type's is. */
export function checkLength(frame: Frame, bytes: number): void {
  const { byteLength } = frame.payload;
  if (byteLength === bytes) return;
  misplaced(frame, `of ${byteLength} instead of ${bytes} bytes`);
}

function credit(frame: Frame): number {
  checkLength(frame, 4);
  const { payload } = frame;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
}
