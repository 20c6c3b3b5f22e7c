/**
 * ACK: how many frames have come. PROTOCOL.md, "Resuming".
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { type Frame, FrameType } from "../frame/frame.ts";

/** Bytes of its payload: one number. */
const ACK_BYTES = 8;

/** Says that so many frames have come, from the session's first one on. */
export function ackFrame(count: number): Frame {
  const payload = new Uint8Array(ACK_BYTES);
  // Of each byte the lowest 8 bits are taken. A `DataView` would cost more.
  for (let i = ACK_BYTES; i-- > 0; count = Math.floor(count / 256)) {
    payload[i] = count;
  }
  return { type: FrameType.ACK, stream: 0, channel: 0, payload };
}

/** How many it says. Throws `protocol_error` for one that is malformed. */
export function readAck({ stream, channel, payload }: Frame): number {
  if (stream !== 0 || channel !== 0 || payload.byteLength !== ACK_BYTES) {
    throw new LimpetError(
      "protocol_error",
      `Peer sent an ACK of length ${payload.byteLength} on channel ${channel}, ` +
        `stream ${stream}, not of ${ACK_BYTES} on channel 0`,
    );
  }
  // Exact below 2^53; no link ever gets there.
  return payload.reduce((count, byte) => count * 256 + byte, 0);
}
