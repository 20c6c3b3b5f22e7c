/**
 * A link that outlives its connections. PROTOCOL.md, "Resuming".
 *
 * @module
 */

import { type Deferred, deferred } from "../deferred.ts";
import { LimpetError } from "../errors.ts";
import { type Frame, FrameType } from "../frame/frame.ts";
import { ackFrame, readAck } from "./ack.ts";
import { endedEarly, type Link, type LinkReceiver } from "./link.ts";
import type { PlainLink } from "./plain_link.ts";
import { Receipt } from "./receipt.ts";
import { ReplayBuffer, type ReplayOptions } from "./replay_buffer.ts";

/** What has come is acknowledged after so long at the latest, in ms. */
export const ACK_DELAY_MS = 100;

/** So much is handed to a connection at once, in bytes. */
const BATCH_BYTES = 262_144;

/** What a connection is to the link: a plain one behind its handshake. */
export type Carrier = Pick<
  PlainLink,
  "peer" | "heardAt" | "start" | "send" | "close" | "abort"
>;

/** Who finds another connection, and what may be kept meanwhile. */
export interface ResumableOptions extends ReplayOptions {
  /** The connection is lost, and the link waits for `attach` or `end`. */
  readonly onLost: (error: LimpetError) => void;
  /** The link is over; whatever is done to find a connection can stop. */
  readonly onOver: () => void;
}

/**
 * Frames have numbers, each way, which nobody sends: both sides count. Each side
 * keeps what it has sent until the other says that it has come, and after a
 * change of connection goes on with the first frame that has not. What is over
 * for good: a goodbye from either side, or a mistake in the protocol.
 */
export class ResumableLink implements Link {
  dismissed = false;
  readonly #options: ResumableOptions;
  readonly #replay: ReplayBuffer;
  readonly #receipt = new Receipt();
  #peer: string;
  #carrier: Carrier | null;
  /** Whether the peer keeps the session; null until it has said so. */
  #kept: boolean | null = null;
  #receiver: LinkReceiver | null = null;
  /** Of the handshake: these have no number. */
  #unnumbered: Frame[] = [];
  /** The number of the next frame for this connection, and what it has taken. */
  #next = 0;
  #taken = 0;
  /** Of the next frame, what the peer has of it already, in bytes. */
  #begun = 0;
  /** The most that any connection was given. */
  #most = 0;
  #sending: Carrier | null = null;
  /** What `send` waits for, if it does. */
  #changed: Deferred<void> | null = null;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  #ackNow = false;
  /** Somebody has said goodbye, or is about to. */
  #ending = false;
  #over: LimpetError | null = null;

  /** Over a connection whose handshake is under way; see `keep`. */
  constructor(carrier: Carrier, options: ResumableOptions) {
    this.#carrier = carrier;
    this.#peer = carrier.peer;
    this.#options = options;
    this.#replay = new ReplayBuffer(options);
  }

  get peer(): string {
    return this.#peer;
  }

  get heardAt(): number {
    return this.#carrier?.heardAt ?? performance.now();
  }

  get suspended(): boolean {
    return this.#carrier === null;
  }

  /** How many whole frames have come: what the peer has to go on from. */
  get received(): number {
    return this.#receipt.received;
  }

  /** Of the next one, how many bytes of its payload were handed on. */
  get begun(): number {
    return this.#receipt.begun;
  }

  /**
   * Throws `protocol_error` if the peer cannot have received so many frames, and
   * so much of the next one, or has lost some that it had.
   */
  checkReceived(received: number, begun: number = 0): void {
    this.#replay.checkBegun(received, begun, this.#most);
  }

  /** The peer does, or does not, keep the session. To be called before `start`. */
  keep(kept: boolean): void {
    this.#kept = kept;
    this.#forget();
  }

  start(receiver: LinkReceiver): void {
    this.#receiver = receiver;
    if (this.#carrier !== null) this.#listen(this.#carrier);
  }

  async send(frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) {
      if (frame.type === FrameType.PROOF) this.#unnumbered.push(frame);
      else {
        while (!this.#push(frame)) await this.#change();
        this.#ending ||= isGoodbye(frame);
      }
    }
    const last = this.#replay.pushed;
    this.#wake();
    while (this.#carrier !== null && this.#taken < last) await this.#change();
    if (this.#over !== null) throw this.#over;
  }

  /**
   * Goes on over another connection, whose handshake is done, from what the peer
   * has received: whole frames, and bytes of the next one; undefined if it goes
   * on with whole frames alone. Throws `protocol_error` if it cannot have received
   * that.
   */
  attach(carrier: Carrier, received: number, begun?: number): void {
    this.checkReceived(received, begun);
    this.#replay.acknowledge(received, this.#most);
    this.#drop(endedEarly(this.#peer));
    this.#next = received;
    this.#taken = received;
    this.#begun = begun ?? 0;
    this.#receipt.rewind(begun !== undefined);
    this.#carrier = carrier;
    this.#peer = carrier.peer;
    this.#wake();
    this.#listen(carrier);
  }

  lost(error: LimpetError): true {
    if (this.#carrier !== null && this.#over === null) {
      this.#drop(error);
      if (this.#kept && !this.#ending) this.#options.onLost(error);
      else this.end(error);
    }
    return true;
  }

  finishing(): void {
    this.#ending = true;
  }

  /** No other connection will be found, or none is wanted. */
  end(error: LimpetError | null): void {
    if (this.#over !== null) return;
    this.#ending = true;
    // It may have last words, and closes us then.
    if (this.#receiver !== null) this.#receiver.ended(error);
    else this.#finish(error ?? endedEarly(this.#peer));
  }

  async close(): Promise<void> {
    const carrier = this.#carrier;
    this.#finish(new LimpetError("closed", "Connection closed"));
    await carrier?.close();
  }

  abort(reason: LimpetError): void {
    this.#drop(reason);
    this.#finish(reason);
  }

  #listen(carrier: Carrier): void {
    carrier.start({
      frame: (frame, whole) => {
        // What an older connection still brings was asked for again.
        if (carrier === this.#carrier && this.#over === null) {
          return this.#receive(frame, whole);
        }
      },
      ended: (error) => {
        if (carrier !== this.#carrier || this.#over !== null) return;
        if (error !== null && error.code !== "connection_lost") this.end(error);
        else if (this.#kept && !this.#ending) {
          this.lost(error ?? endedEarly(this.#peer));
        } else this.end(error);
      },
    });
  }

  #receive(frame: Frame, whole: boolean): true | void {
    if (!this.#kept) return this.#receiver?.frame(frame, whole);
    if (frame.type === FrameType.ACK) {
      this.#replay.acknowledge(readAck(frame), this.#next);
      this.#forget();
      this.#notify();
      return true;
    }
    this.#ending ||= isGoodbye(frame);
    const fresh = this.#receipt.take(frame, whole);
    if (this.#receipt.isDue) this.#wake();
    else if (this.#receipt.isOwed) this.#ackSoon();
    if (fresh !== null) return this.#receiver?.frame(fresh, whole);
  }

  #push(frame: Frame): boolean {
    if (this.#over !== null) throw this.#over;
    if (this.#replay.push(frame)) return true;
    this.#wake();
    return false;
  }

  /** Sends what is there to send, if that is not under way. */
  #wake(): void {
    const carrier = this.#carrier;
    if (carrier !== null && this.#sending !== carrier) this.#run(carrier);
  }

  async #run(carrier: Carrier): Promise<void> {
    this.#sending = carrier;
    try {
      for (let batch; (batch = this.#batch()).length > 0;) {
        const end = this.#next;
        await carrier.send(batch);
        if (carrier !== this.#carrier || this.#over !== null) return;
        this.#taken = end;
        this.#forget();
        this.#notify();
      }
      this.#sending = null;
    } catch (thrown) {
      if (carrier === this.#carrier) this.lost(thrown as LimpetError);
    }
  }

  #batch(): Frame[] {
    const batch = this.#unnumbered.splice(0);
    let bytes = 0;
    while (bytes < BATCH_BYTES) {
      let frame = this.#replay.at(this.#next);
      if (frame === undefined) break;
      if (this.#begun > 0) {
        frame = { ...frame, payload: frame.payload.subarray(this.#begun) };
        this.#begun = 0;
      }
      batch.push(frame);
      bytes += frame.payload.byteLength;
      this.#next++;
    }
    this.#most = Math.max(this.#most, this.#next);
    const { isOwed, isDue } = this.#receipt;
    // A goodbye is the last word, and nobody comes back after it.
    const owes = isOwed && !this.#ending;
    if (owes && (isDue || this.#ackNow || batch.length > 0)) {
      this.#ackNow = false;
      batch.push(ackFrame(this.#receipt.acknowledge()));
    }
    return batch;
  }

  /** Nothing is ever sent again to a peer that does not keep the session. */
  #forget(): void {
    if (this.#kept === false) {
      this.#replay.acknowledge(this.#taken, this.#taken);
    }
    this.#replay.recycle(this.#taken);
  }

  #ackSoon(): void {
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = undefined;
      this.#ackNow = true;
      this.#wake();
    }, ACK_DELAY_MS);
  }

  /** Gives the connection up: nothing more comes from it, and nothing goes. */
  #drop(reason: LimpetError): void {
    this.#carrier?.abort(reason);
    this.#carrier = null;
    this.#replay.abandon();
    this.#sending = null;
    this.#ackNow = false;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#notify();
  }

  #finish(error: LimpetError): void {
    if (this.#over !== null) return;
    this.#over = error;
    clearTimeout(this.#ackTimer);
    this.#replay.clear();
    this.#notify();
    this.#options.onOver();
  }

  #change(): Promise<void> {
    return (this.#changed ??= deferred()).promise;
  }

  #notify(): void {
    const changed = this.#changed;
    this.#changed = null;
    changed?.resolve();
  }
}

function isGoodbye({ type, stream, channel }: Frame): boolean {
  return type === FrameType.CLOSE && stream === 0 && channel === 0;
}
