/**
 * The frame decoder: bytes in, cut anyhow; frames out. Synchronous, and free of
 * any stream machinery, so that it can be tested at every split of its input.
 *
 * @module
 */

import { EMPTY } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import { type Frame, frameName, FrameType, HEADER_BYTES } from "./frame.ts";

/**
 * Give it chunks with `push`, then call `next` until it returns undefined.
 * Frames are decoded one at a time and on demand, so that whoever reads may
 * stop between two of them, or change `maxPayload`.
 *
 * DATA payloads come out as views of the chunks they lie in, in several pieces
 * if a frame spans chunks: no byte of them is ever copied. Other payloads are
 * whole; one that spans chunks is gathered in a buffer of its exact size, which
 * is allocated only after the length has passed the limit.
 */
export class Decoder {
  /** Largest payload accepted, in bytes. */
  maxPayload: number;

  #chunk: Uint8Array = EMPTY;
  #position = 0;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerBytes = 0;
  /** Bytes of the current frame's payload still to come. */
  #missing = 0;
  /** The payload being gathered; null while none is. */
  #gathered: Uint8Array | null = null;

  constructor(maxPayload: number) {
    this.maxPayload = maxPayload;
  }

  /** Takes the next bytes. The previous ones must have been used up. */
  push(chunk: Uint8Array): void {
    if (this.#position < this.#chunk.byteLength) {
      throw new Error("Bytes are left to read");
    }
    this.#chunk = chunk;
    this.#position = 0;
  }

  /**
   * The next frame or piece of one; undefined when more bytes are needed.
   * Throws `limit_exceeded` for a payload over the limit.
   */
  next(): Frame | undefined {
    if (this.#missing === 0) {
      if (!this.#readHeader()) return this.#release();
      this.#missing = this.#number(0);
      if (this.#missing > this.maxPayload) {
        const claimed = this.#missing;
        this.#missing = 0;
        throw new LimpetError(
          "limit_exceeded",
          `Peer sent a ${frameName(this.#header[4])} frame of ${claimed} ` +
            `bytes, over the limit of ${this.maxPayload}`,
        );
      }
      if (this.#missing === 0) return this.#finish(EMPTY);
    }
    const available = this.#chunk.byteLength - this.#position;
    if (available === 0) return this.#release();
    const taken = Math.min(available, this.#missing);
    const whole = taken === this.#missing && this.#gathered === null;
    if (whole || this.#header[4] === FrameType.DATA) {
      const piece = this.#take(taken);
      this.#missing -= taken;
      return this.#missing === 0 ? this.#finish(piece) : this.#frame(piece);
    }
    return this.#gather(taken);
  }

  /** Whether the frame that `next` gave out last came to its end. */
  get whole(): boolean {
    return this.#missing === 0;
  }

  /** Call it at the end of the input: throws `connection_lost` inside a frame. */
  end(): void {
    if (this.#headerBytes > 0) {
      throw new LimpetError(
        "connection_lost",
        "Connection ended within a frame",
      );
    }
  }

  #readHeader(): boolean {
    const wanted = HEADER_BYTES - this.#headerBytes;
    if (wanted === 0) return true;
    const part = this.#take(
      Math.min(wanted, this.#chunk.byteLength - this.#position),
    );
    this.#header.set(part, this.#headerBytes);
    this.#headerBytes += part.byteLength;
    return this.#headerBytes === HEADER_BYTES;
  }

  #gather(taken: number): Frame | undefined {
    this.#gathered ??= new Uint8Array(this.#missing);
    const total = this.#gathered.byteLength;
    this.#gathered.set(this.#take(taken), total - this.#missing);
    this.#missing -= taken;
    if (this.#missing > 0) return this.#release();
    const payload = this.#gathered;
    this.#gathered = null;
    return this.#finish(payload);
  }

  #take(count: number): Uint8Array {
    const end = this.#position + count;
    const part = this.#chunk.subarray(this.#position, end);
    this.#position = end;
    return part;
  }

  #finish(payload: Uint8Array): Frame {
    const frame = this.#frame(payload);
    this.#headerBytes = 0;
    return frame;
  }

  #frame(payload: Uint8Array): Frame {
    return {
      type: this.#header[4],
      stream: this.#header[5],
      channel: this.#number(6),
      payload,
    };
  }

  /** A u32 of the header; a `DataView` would be kept for each connection. */
  #number(at: number): number {
    let number = 0;
    for (let i = 0; i < 4; i++) number = number * 256 + this.#header[at + i];
    return number;
  }

  /** Lets go of a chunk that is used up: views keep it alive, we need not. */
  #release(): undefined {
    this.#chunk = EMPTY;
    this.#position = 0;
  }
}
