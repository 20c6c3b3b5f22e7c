/**
 * Control messages longer than one frame. PROTOCOL.md, "Control payloads".
 *
 * @module
 */

import { EMPTY } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import type { Holder } from "../memory.ts";
import { type Frame, FrameType, misplaced } from "../frame/frame.ts";

/** What of a channel is no JSON, and never comes in parts. */
const WHOLE: readonly number[] = [
  FrameType.DATA,
  FrameType.CREDIT,
  FrameType.STOP,
];

/** Cuts a control frame into PART frames and a last one under its own type. */
export function splitControl(frame: Frame, maxPayload: number): Frame[] {
  const frames: Frame[] = [];
  let { payload } = frame;
  while (payload.byteLength > maxPayload) {
    const piece = payload.subarray(0, maxPayload);
    frames.push({ ...frame, type: FrameType.PART, payload: piece });
    payload = payload.subarray(maxPayload);
  }
  frames.push({ ...frame, payload });
  return frames;
}

/** Puts them together again, within a bound. */
export class PartAssembler {
  readonly #maxBytes: number;
  readonly #hold: Holder | undefined;
  /** What has come; grows by doubling, however small the parts. */
  #buffer = EMPTY;
  #bytes = 0;
  /** The first part of the message being gathered. */
  #first: Frame | null = null;

  constructor(maxBytes: number, hold?: Holder) {
    this.#maxBytes = maxBytes;
    this.#hold = hold;
  }

  /** Returns the whole frame once its last piece is here, else null. */
  push(frame: Frame): Frame | null {
    if (frame.type !== FrameType.PART && this.#first === null) return frame;
    const first = this.#first ?? frame;
    if (
      !comesInParts(frame.type) || frame.channel !== first.channel ||
      frame.stream !== first.stream
    ) {
      misplaced(
        frame,
        `between the parts of a message on channel ${first.channel}`,
      );
    }
    if (frame.type === FrameType.PART && frame.payload.byteLength === 0) {
      misplaced(frame, "with nothing in it");
    }
    this.#first = first;
    this.#append(frame.payload);
    return frame.type === FrameType.PART ? null : this.#whole(frame);
  }

  #append(piece: Uint8Array): void {
    const needed = this.#bytes + piece.byteLength;
    if (needed > this.#maxBytes) throw tooLong(this.#maxBytes, "");
    if (needed > this.#buffer.byteLength) {
      const bytes = Math.max(needed, this.#bytes * 2);
      if (this.#hold?.hold(bytes) === false) {
        throw tooLong(this.#bytes, ": there is no memory");
      }
      const grown = new Uint8Array(bytes);
      grown.set(this.#buffer.subarray(0, this.#bytes));
      this.#buffer = grown;
    }
    this.#buffer.set(piece, this.#bytes);
    this.#bytes = needed;
  }

  #whole(last: Frame): Frame {
    const payload = this.#buffer.subarray(0, this.#bytes);
    this.#buffer = EMPTY;
    this.#hold?.hold(0);
    this.#bytes = 0;
    this.#first = null;
    return { ...last, payload };
  }
}

function tooLong(bytes: number, why: string): LimpetError {
  return new LimpetError(
    "limit_exceeded",
    `Peer sent a control message of over ${bytes} bytes${why}`,
  );
}

/** Whether it is PART, or a message that can be made of parts. */
function comesInParts(type: number): boolean {
  return type === FrameType.PART ||
    (type >= FrameType.OPEN && type <= FrameType.RESULT &&
      !WHOLE.includes(type));
}
