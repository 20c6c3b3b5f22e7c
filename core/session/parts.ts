/**
 * Control messages longer than one frame. PROTOCOL.md, "Control payloads".
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { type Frame, frameName, FrameType } from "../frame/frame.ts";

/** What a message in parts can be made of: PART, and then one of the others. */
const MESSAGE_TYPES: ReadonlySet<number> = new Set([
  FrameType.PART,
  FrameType.OPEN,
  FrameType.STARTED,
  FrameType.REFUSED,
  FrameType.END,
  FrameType.ABORT,
  FrameType.SIGNAL,
  FrameType.EXIT,
]);

/** Cuts a control frame into PART frames and a last one under its own type. */
export function splitControl(frame: Frame, maxPayload: number): Frame[] {
  const { payload } = frame;
  const frames: Frame[] = [];
  let offset = 0;
  for (; payload.byteLength - offset > maxPayload; offset += maxPayload) {
    const piece = payload.subarray(offset, offset + maxPayload);
    frames.push({ ...frame, type: FrameType.PART, payload: piece });
  }
  frames.push({ ...frame, payload: payload.subarray(offset) });
  return frames;
}

/** Puts them together again, within a bound. */
export class PartAssembler {
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #channel = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Returns the whole frame once its last piece is here, else null. */
  push(frame: Frame): Frame | null {
    if (frame.type !== FrameType.PART && this.#parts.length === 0) return frame;
    if (!MESSAGE_TYPES.has(frame.type) || this.#foreign(frame)) {
      throw new LimpetError(
        "protocol_error",
        `Peer sent ${frameName(frame.type)} on channel ${frame.channel} ` +
          `between the parts of a message on channel ${this.#channel}`,
      );
    }
    if (frame.type === FrameType.PART && frame.payload.byteLength === 0) {
      throw new LimpetError("protocol_error", "Peer sent an empty PART frame");
    }
    this.#channel = frame.channel;
    this.#bytes += frame.payload.byteLength;
    if (this.#bytes > this.#maxBytes) {
      throw new LimpetError(
        "limit_exceeded",
        `Peer sent a control message of over ${this.#maxBytes} bytes`,
      );
    }
    // A view would keep its network chunk alive, however small the part.
    this.#parts.push(frame.payload.slice());
    return frame.type === FrameType.PART ? null : this.#whole(frame);
  }

  #foreign(frame: Frame): boolean {
    return this.#parts.length > 0 && frame.channel !== this.#channel;
  }

  #whole(last: Frame): Frame {
    const payload = new Uint8Array(this.#bytes);
    let offset = 0;
    for (const part of this.#parts) {
      payload.set(part, offset);
      offset += part.byteLength;
    }
    this.#parts = [];
    this.#bytes = 0;
    return { ...last, payload };
  }
}
