/**
 * What a channel needs of the session above it: somewhere to put frames.
 *
 * @module
 */

import type { Frame } from "../frame/frame.ts";

/** A stream with frames to send; the one writer asks it when its turn comes. */
export interface FrameSource {
  /** The next frame of at most `maxPayload` bytes, or null for none now. */
  nextFrame(maxPayload: number): Frame | null;
  /** That many payload bytes given out earlier are now with the transport. */
  sent(bytes: number): void;
}

/** The one writer of a session, as its channels see it. */
export interface FrameSink {
  /** Queues a control frame. It leaves before any data that waits. */
  control(type: number, stream: number, channel: number, body: object): void;
  /** The same for a payload that is no JSON. */
  raw(frame: Frame): void;
  /** Puts a source in the queue for its turns, if it is not there already. */
  schedule(source: FrameSource): void;
}
