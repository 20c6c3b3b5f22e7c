/**
 * ACK: how many frames have come. PROTOCOL.md, "Resuming".
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { type Frame, FrameType } from "../frame/frame.ts";

/** Bytes of its payload: one number. */
const ACK_BYTES = 8;

/** All numbers below are exact; no link ever gets there. */
const HIGH = 0x1_0000_0000;

/** Says that so many frames have come, from the session's first one on. */
export function ackFrame(count: number): Frame {
  const payload = new Uint8Array(ACK_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint32(0, Math.floor(count / HIGH));
  view.setUint32(4, count % HIGH);
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
  const view = new DataView(payload.buffer, payload.byteOffset);
  return view.getUint32(0) * HIGH + view.getUint32(4);
}
