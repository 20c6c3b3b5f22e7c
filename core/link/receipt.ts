/**
 * What has come over one connection after another, counted.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { type Frame, frameName, KEPT_FRAME_BYTES } from "../frame/frame.ts";

/**
 * The peer hears of what has come after so many bytes, a frame with its cost, if
 * nothing has left for it meanwhile. An ACK is a write of its own here and a read
 * there: at twice as often they cost more than all else that resuming takes. At
 * half as often, what is kept for want of them no longer fits into a cache.
 */
export const ACK_BYTES = 524_288;

/**
 * Counts frames and takes out what came before: a connection may be lost in the
 * middle of a frame whose first bytes were delivered, and the next one begins
 * with that frame again.
 */
export class Receipt {
  #received = 0;
  #unacknowledged = 0;
  /** Of frame `#received`: what was delivered, and what it is a frame of. */
  #delivered = 0;
  #begun: Omit<Frame, "payload"> | null = null;
  /** Bytes of it that came over this connection. */
  #at = 0;

  /** How many whole frames have come. */
  get received(): number {
    return this.#received;
  }

  /** Of the next one, how many bytes of its payload were delivered. */
  get begun(): number {
    return this.#delivered;
  }

  /** Whether the peer has not heard of all of them. */
  get isOwed(): boolean {
    return this.#unacknowledged > 0;
  }

  /** Whether it should now. */
  get isDue(): boolean {
    return this.#unacknowledged >= ACK_BYTES;
  }

  /** How many there are, to be told the peer. */
  acknowledge(): number {
    this.#unacknowledged = 0;
    return this.#received;
  }

  /**
   * A new connection: it begins with the first frame that is not whole here, or,
   * if the peer was told where that is and says that it can, in the middle of it.
   */
  rewind(goesOnInside: boolean): void {
    this.#at = goesOnInside ? this.#delivered : 0;
    this.acknowledge();
  }

  /**
   * A frame, or a piece of one, of which `whole` is the last. Returns what of it
   * is new, or null. Throws `protocol_error` if it is not the same frame again.
   */
  take(frame: Frame, whole: boolean): Frame | null {
    const { type, stream, channel, payload } = frame;
    const known = Math.min(this.#delivered - this.#at, payload.byteLength);
    this.#at += payload.byteLength;
    if (this.#begun !== null) this.#check(frame, whole);
    const isNew = known <= 0 || known < payload.byteLength;
    if (whole) {
      this.#received++;
      this.#unacknowledged += this.#at + KEPT_FRAME_BYTES;
      this.#delivered = 0;
      this.#begun = null;
      this.#at = 0;
    } else if (isNew) {
      this.#delivered = this.#at;
      this.#begun ??= { type, stream, channel };
    }
    if (known <= 0) return frame;
    return isNew ? { ...frame, payload: payload.subarray(known) } : null;
  }

  #check({ type, stream, channel }: Frame, whole: boolean): void {
    const begun = this.#begun!;
    const same = type === begun.type && stream === begun.stream &&
      channel === begun.channel;
    if (same && (!whole || this.#at >= this.#delivered)) return;
    throw new LimpetError(
      "protocol_error",
      `Peer sent ${frameName(type)} on channel ${channel} in place of the ` +
        `${
          frameName(begun.type)
        } on channel ${begun.channel} that it had begun`,
    );
  }
}
