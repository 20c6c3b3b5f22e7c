/**
 * A session after its handshake: many channels over one link, on either side.
 *
 * @module
 */

import { Channel, checkLength } from "../channel/channel.ts";
import type { Growth } from "../channel/window.ts";
import { deferred } from "../deferred.ts";
import { EMPTY } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import {
  FIRST_OPTIONAL_TYPE,
  type Frame,
  FrameType,
  misplaced,
} from "../frame/frame.ts";
import type { Limits } from "../limits.ts";
import { endedEarly, type Link, type LinkReceiver } from "../link/link.ts";
import type { Holder } from "../memory.ts";
import { within } from "./deadline.ts";
import { FrameWriter } from "./frame_writer.ts";
import { type GoingAway, readGoAway } from "./go_away.ts";
import { closeFrame, FAULTS, isSessionFrame, readClose } from "./handshake.ts";
import type { PeerLimits } from "./hello.ts";
import { keepAlive } from "./keepalive.ts";
import { PartAssembler } from "./parts.ts";

/**
 * Takes OPEN of a peer that has opened `last`, the latest of its channels, and has
 * `open` of them; `add` adds the one it asks for.
 */
export type Accept = (
  frame: Frame,
  last: number,
  open: number,
  add: (id: number) => Channel,
) => void;

/** What a mux is made with. */
export interface MuxOptions {
  readonly link: Link;
  readonly limits: Limits;
  readonly peerLimits: PeerLimits;
  /** Servers take channels: `acceptor`. */
  readonly accept?: Accept;
  /** For the memory of messages that are being sent, and put together. */
  readonly hold?: { readonly queue: Holder; readonly parts: Holder };
  /** By what windows may grow. */
  readonly growth: Growth;
  /** Told each time when the last channel has ended. */
  readonly onIdle?: () => void;
  /**
   * The client's PROOF: leaves before all others. Data waits for `start`, for
   * until then the peer has proved nothing.
   */
  readonly proof?: Frame;
}

/** See the module's description. */
export class Mux implements LinkReceiver {
  readonly #over = deferred<LimpetError>();
  /** Resolves to the reason once the session is over; never rejects. */
  readonly over: Promise<LimpetError> = this.#over.promise;
  readonly #goingAway = deferred<GoingAway>();
  /** Resolves when the server says that it is going away, if ever it does. */
  readonly goingAway: Promise<GoingAway> = this.#goingAway.promise;
  readonly #options: MuxOptions;
  readonly #link: Link;
  readonly #writer: FrameWriter;
  readonly #parts: PartAssembler;
  readonly #channels = new Map<number, Channel>();
  #lastChannel = -1;
  #error: LimpetError | null = null;
  /** Why the peer takes no more channels, once it does not. */
  #leaving: LimpetError | null = null;
  #linkClosed: Promise<void> | null = null;
  #stopAsking = () => {};

  constructor(options: MuxOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#parts = new PartAssembler(
      options.limits.maxControlBytes,
      options.hold?.parts,
    );
    this.#writer = new FrameWriter(
      options.link,
      {
        // By name: an object with others spread into it has a hidden class of its
        // own, each time.
        frameBytes: options.peerLimits.frameBytes,
        controlBytes: options.peerLimits.controlBytes,
        queuedBytes: options.limits.maxQueuedControlBytes,
        hold: options.hold?.queue,
      },
      (error) => this.fail(error),
      options.proof !== undefined,
    );
    if (options.proof) this.#writer.raw(options.proof);
  }

  /** Begins to listen to the peer. */
  start(): void {
    if (this.#error !== null) return;
    this.#writer.releaseData();
    // First: what has come already may be the end of it.
    this.#stopAsking = keepAlive(this.#link, this.#options.limits, {
      ping: () => this.#writer.raw(sign(FrameType.PING)),
      lost: (error) => this.#link.lost?.(error) || this.fail(error),
    });
    this.#link.start(this);
  }

  /** Why the session is over, or null while it is not. */
  get error(): LimpetError | null {
    return this.#error;
  }

  /** Opens a channel; the caller adds streams and sends its OPEN. */
  openChannel(): Channel {
    const none = this.#error ?? this.#leaving;
    if (none) throw none;
    if (this.#channels.size >= this.#options.limits.maxChannels) {
      throw new LimpetError(
        "limit_exceeded",
        `Session has ${this.#channels.size} commands open, which is its limit ` +
          "maxChannels",
      );
    }
    return this.#addChannel(this.#lastChannel + 2);
  }

  frame(received: Frame): true | void {
    const frame = this.#parts.push(received);
    if (!frame || this.#error) return;
    if (isSessionFrame(frame, FrameType.CLOSE)) {
      const reason = readClose(frame.payload, this.#link.peer);
      this.#link.dismissed = true;
      return this.#finish(reason, null);
    }
    const { type, channel } = frame;
    const asks = isSessionFrame(frame, FrameType.PING);
    if (asks || isSessionFrame(frame, FrameType.PONG)) {
      checkLength(frame, 0);
      return asks ? this.#writer.raw(sign(FrameType.PONG)) : undefined;
    }
    const { accept } = this.#options;
    const opens = type === FrameType.OPEN && frame.stream === 0;
    if (opens && accept !== undefined) {
      return accept(
        frame,
        this.#lastChannel,
        this.#channels.size,
        (id) => this.#addChannel(id),
      );
    }
    if (isSessionFrame(frame, FrameType.GOAWAY) && accept === undefined) {
      const going = readGoAway(frame.payload, this.#link.peer);
      this.#leaving = going.reason;
      this.#goingAway.resolve(going);
      return this.#leaveWhenDone();
    }
    if (channel !== 0 && type > FrameType.OPEN && type <= FrameType.RESULT) {
      return this.#channel(frame)?.receive(frame);
    }
    if (type >= FIRST_OPTIONAL_TYPE) return;
    misplaced(frame);
  }

  ended(error: LimpetError | null): void {
    this.fail(error ?? endedEarly(this.#link.peer));
  }

  /** Ends the session because of an error; tells the peer if it is at fault. */
  fail(error: LimpetError): void {
    const tell = FAULTS.includes(error.code) && !this.#link.dismissed;
    this.#finish(error, tell ? closeFrame(error.code, error.message) : null);
  }

  /** Says something of the session itself. */
  send(frame: Frame): void {
    this.#writer.raw(frame);
  }

  /** Ends the session on purpose. Settles when the transport is given up. */
  async close(code: "closed" | "shutting_down"): Promise<void> {
    const message = code === "closed"
      ? "Session closed"
      : "Server is shutting down";
    this.#finish(new LimpetError(code, message), closeFrame(code, message));
    await this.#linkClosed;
  }

  #finish(error: LimpetError, last: Frame | null): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#stopAsking();
    this.#link.finishing?.();
    this.#linkClosed = this.#closeLink(error, last);
    for (const channel of [...this.#channels.values()]) channel.lost(error);
    this.#over.resolve(error);
  }

  /** A peer that is going away waits for us to have all that was asked of it. */
  #leaveWhenDone(): void {
    if (!this.#leaving || this.#channels.size > 0) return;
    this.#finish(this.#leaving, closeFrame("closed", "Session closed"));
  }

  async #closeLink(error: LimpetError, last: Frame | null): Promise<void> {
    // A peer that does not read must not keep us: the last words have a second.
    const patience = {
      ms: this.#link.suspended ? 0 : 1_000,
      doing: "Closing",
    };
    await within(this.#writer.finish(last), patience).catch(() => {});
    if (error.code === "connection_lost") return this.#link.abort(error);
    await this.#link.close();
  }

  #addChannel(id: number): Channel {
    if (id > 0xffff_ffff) {
      throw new LimpetError("limit_exceeded", "Session has no numbers left");
    }
    this.#lastChannel = id;
    const { peerLimits, limits, growth } = this.#options;
    const channel = new Channel({
      id,
      sink: this.#writer,
      sendWindow: peerLimits.windowBytes,
      receiveWindow: limits.windowBytes,
      growth,
      onEnded: (ended) => {
        this.#channels.delete(ended.id);
        if (this.#channels.size === 0) this.#options.onIdle?.();
        this.#leaveWhenDone();
      },
    });
    this.#channels.set(id, channel);
    return channel;
  }

  /** The open channel of a frame; undefined when it has ended. */
  #channel(frame: Frame): Channel | undefined {
    const channel = this.#channels.get(frame.channel);
    const known = frame.channel % 2 === 1 && frame.channel <= this.#lastChannel;
    if (channel !== undefined || known) return channel;
    misplaced(frame, "which was never opened");
  }
}

/** PING or PONG. */
function sign(type: number): Frame {
  return { type, stream: 0, channel: 0, payload: EMPTY };
}
