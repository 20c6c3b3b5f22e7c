/**
 * Frames: the message boundaries that a byte stream does not have.
 * Layout and numbers: PROTOCOL.md, "Frames".
 *
 * @module
 */

import { concat } from "../bytes.ts";
import { LimpetError } from "../errors.ts";

/** Bytes of a frame's header. */
export const HEADER_BYTES = 10;

/**
 * What a frame that is kept costs besides its payload: a few objects. Counted so
 * that bounds are of memory: an empty PONG would hardly count otherwise.
 */
export const KEPT_FRAME_BYTES = 256;

/** Frame types. Those from 128 up are ignored by whoever does not know them. */
export const FrameType = {
  HELLO: 1,
  PROOF: 2,
  CLOSE: 3,
  PING: 4,
  PONG: 5,
  GOAWAY: 6,
  ACK: 7,
  PART: 9,
  OPEN: 16,
  STARTED: 17,
  REFUSED: 18,
  DATA: 19,
  END: 20,
  ABORT: 21,
  CREDIT: 22,
  STOP: 23,
  SIGNAL: 24,
  EXIT: 25,
  DETACH: 26,
  DROPPED: 27,
  RESULT: 28,
} as const;

/** Types from here up may be ignored. */
export const FIRST_OPTIONAL_TYPE = 128;

/** The streams of a channel. */
export const STDIN = 0;
export const STDOUT = 1;
export const STDERR = 2;

/** One frame, or a piece of a DATA frame. */
export interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly channel: number;
  /** A view, not a copy; whoever keeps it keeps the buffer beneath. */
  readonly payload: Uint8Array;
  /** Called once nobody will look at the payload's memory again, if ever. */
  readonly recycle?: () => void;
}

const names: string[] = [];
for (const [name, type] of Object.entries(FrameType)) names[type] = name;

/** `DATA`, or `type 77` for one without a name. For messages. */
export function frameName(type: number): string {
  return names[type] ?? `type ${type}`;
}

/** Throws `protocol_error`; by default there is nothing there that it could be for. */
export function misplaced(
  { type, channel, stream }: Frame,
  why = "where it has no place",
): never {
  throw new LimpetError(
    "protocol_error",
    `Peer sent ${frameName(type)} on channel ${channel}, stream ${stream}, ` +
      why,
  );
}

/** Writes a header into `target` at `offset`. */
export function writeHeader(
  target: DataView,
  offset: number,
  frame: Frame,
): void {
  target.setUint32(offset, frame.payload.byteLength);
  target.setUint8(offset + 4, frame.type);
  target.setUint8(offset + 5, frame.stream);
  target.setUint32(offset + 6, frame.channel);
}

/**
 * The bytes of some frames as a list for one gathered write: each header,
 * then its payload as it lies in memory. All headers share one buffer.
 */
export function encodeFrames(frames: readonly Frame[]): Uint8Array[] {
  const headers = new Uint8Array(frames.length * HEADER_BYTES);
  const view = new DataView(headers.buffer);
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const frame of frames) {
    writeHeader(view, offset, frame);
    chunks.push(headers.subarray(offset, offset + HEADER_BYTES));
    if (frame.payload.byteLength > 0) chunks.push(frame.payload);
    offset += HEADER_BYTES;
  }
  return chunks;
}

/** One frame as one piece of memory, for the handshake's transcript. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  return concat(encodeFrames([frame]));
}
