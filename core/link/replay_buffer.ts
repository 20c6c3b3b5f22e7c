/**
 * What was sent and may have to be sent again.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { type Frame, FrameType, KEPT_FRAME_BYTES } from "../frame/frame.ts";
import type { Holder } from "../memory.ts";
import { ByteRing } from "./byte_ring.ts";

/** Of a payload: what is kept as it is, whatever lies beside it. */
const LARGE_BYTES = 4_096;

/** How much a link keeps, and of what. */
export interface ReplayOptions {
  /** For what was sent and not acknowledged, in bytes of memory. */
  readonly maxReplayBytes: number;
  /** For the memory of it. */
  readonly hold?: Holder;
  /**
   * Payloads that are given to be sent are nobody else's to write to, until their
   * frame's `recycle` is called. Those that are large or fill their memory are then
   * kept as they are. Default: copies are kept.
   */
  readonly owned?: boolean;
}

/**
 * Numbers the frames from 0 and keeps each until the peer has it, within a bound.
 * One frame is always taken, however large, so that a frame above the bound holds
 * up a link and does not end it.
 */
export class ReplayBuffer {
  readonly #options: ReplayOptions;
  readonly #frames: Frame[] = [];
  readonly #ring = new ByteRing();
  /** By their frames' numbers, in order. */
  readonly #recycle = new Map<number, () => void>();
  /** Where in `#frames` the first one is that the peer does not have. */
  #head = 0;
  #acknowledged = 0;
  #bytes = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** How many frames were ever pushed: the number of the next one. */
  get pushed(): number {
    return this.#acknowledged + this.#frames.length - this.#head;
  }

  /** How many the peer has: the number of the first one that is kept. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** What is kept, in bytes of memory. */
  get byteLength(): number {
    return this.#bytes;
  }

  /** Takes a frame. False, and not taken: no room yet. */
  push(frame: Frame): boolean {
    const bytes = this.#bytes + costOf(frame);
    const first = this.#bytes === 0;
    const { maxReplayBytes, hold } = this.#options;
    if (bytes > maxReplayBytes && !first) return false;
    if (hold?.hold(bytes) === false && !first) return false;
    const kept = this.#kept(frame);
    // Of a copy nobody needs the original, and it may be far larger.
    if (kept.payload !== frame.payload) frame.recycle?.();
    else if (frame.recycle) this.#recycle.set(this.pushed, frame.recycle);
    this.#frames.push(kept);
    this.#bytes = bytes;
    return true;
  }

  /** The frame of that number; undefined if it was never pushed. */
  at(number: number): Frame | undefined {
    return this.#frames[this.#head + number - this.#acknowledged];
  }

  /**
   * Throws `protocol_error` if the peer cannot have so many in all, having been
   * sent `sent`, or has said before that it has more.
   */
  check(count: number, sent: number): void {
    if (count <= sent && count >= this.#acknowledged) return;
    throw new LimpetError(
      "protocol_error",
      `Peer says that it has received ${count} frames, after ` +
        `${this.#acknowledged}, and was sent ${sent}`,
    );
  }

  /**
   * The same of a peer that has the first `begun` bytes of the next one's payload
   * besides. Only of DATA can that be.
   */
  checkBegun(count: number, begun: number, sent: number): void {
    this.check(count, sent);
    const frame = count < sent ? this.at(count) : undefined;
    const most = frame?.type === FrameType.DATA ? frame.payload.byteLength : 1;
    if (begun < most || begun === 0) return;
    throw new LimpetError(
      "protocol_error",
      `Peer says that it has received ${begun} bytes of a frame of which it ` +
        "cannot have so many",
    );
  }

  /** The peer has so many in all; throws as `check` does. */
  acknowledge(count: number, sent: number): void {
    this.check(count, sent);
    for (; this.#acknowledged < count; this.#acknowledged++) {
      this.#bytes -= costOf(this.#frames[this.#head++]);
    }
    if (this.#head * 2 >= this.#frames.length) {
      this.#frames.splice(0, this.#head);
      this.#head = 0;
    }
    if (this.#frames.length === 0) this.#ring.clear();
    this.#options.hold?.hold(this.#bytes);
  }

  /**
   * Recycles what the peer has, of the first `written` frames: before its write
   * has ended, a frame is looked at whatever the peer says.
   */
  recycle(written: number): void {
    for (const [number, recycle] of this.#recycle) {
      if (number >= Math.min(written, this.#acknowledged)) break;
      this.#recycle.delete(number);
      recycle();
    }
  }

  /**
   * A connection was given up: what is on its way there may still be looked at,
   * so the memory of what is kept now is not for others.
   */
  abandon(): void {
    this.#recycle.clear();
  }

  /** Keeps nothing any more. */
  clear(): void {
    this.abandon();
    this.#frames.length = 0;
    this.#head = 0;
    this.#bytes = 0;
    this.#ring.clear();
    this.#options.hold?.hold(0);
  }

  #kept(frame: Frame): Frame {
    const { type, stream, channel, payload } = frame;
    const { byteLength } = payload;
    // Its neighbours in memory are of the same stream, and kept or over as it is.
    const dense = byteLength >= LARGE_BYTES ||
      byteLength * 2 >= payload.buffer.byteLength;
    if (this.#options.owned && dense) return { type, stream, channel, payload };
    const copy = this.#options.owned
      ? payload.slice()
      : this.#ring.copy(payload, this.#frames[this.#head]?.payload);
    return { type, stream, channel, payload: copy };
  }
}

function costOf({ payload }: Frame): number {
  return payload.byteLength + KEPT_FRAME_BYTES;
}
