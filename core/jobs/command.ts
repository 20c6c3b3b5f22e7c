/**
 * A command that outlives its clients, as one of them has it.
 *
 * @module
 */

import type { Channel } from "../channel/channel.ts";
import { LimpetError } from "../errors.ts";
import { type CommandStreams, RemoteCommand } from "../exec/client.ts";
import { jobIdIn } from "../exec/job_id.ts";
import { decodeControl, type Fields } from "../frame/control.ts";
import { type Frame, frameName, FrameType } from "../frame/frame.ts";

/** Bytes of a job that its server has no more. */
export interface DroppedRange {
  readonly stream: "stdout" | "stderr";
  /** Offsets in the stream: of the first of them, and behind the last. */
  readonly from: number;
  readonly to: number;
}

/**
 * A command started with `keep` or `detach`, or attached to. It goes on when this
 * object is disposed of, or the session ends; `terminate()` ends it.
 */
export class JobCommand extends RemoteCommand {
  /**
   * Told of each range that the server has no more, before any byte from behind
   * it comes: the stream goes on there.
   */
  onDropped: ((range: DroppedRange) => void) | null = null;
  /**
   * Bytes that the job's stdin has been given, where what we write goes on; null
   * if it takes none, or before STARTED.
   */
  stdinOffset: number | null = null;

  readonly #channel: Channel;

  /** `open` is the body of OPEN. */
  constructor(channel: Channel, streams: CommandStreams, open: object) {
    super(channel, streams, open);
    this.#channel = channel;
  }

  /**
   * Lets go of the job: `status` and both streams end here with `closed`, if they
   * have not ended yet.
   */
  detach(): void {
    this.#channel.send(FrameType.DETACH, {});
    this.lost(new LimpetError("closed", "The job was let go of"));
  }

  /** Lets go of the job. Never rejects. */
  override [Symbol.asyncDispose](): Promise<void> {
    this.detach();
    return Promise.resolve();
  }

  /** For the session: a frame has come. */
  override message(frame: Frame): void {
    const fields = decodeControl(frame.payload, frameName(frame.type));
    switch (frame.type) {
      case FrameType.DROPPED:
        return this.#dropped(fields);
      case FrameType.DETACH:
        return this.lost(
          fields.has("message")
            ? new LimpetError("connection_lost", fields.message("message"))
            : new LimpetError("closed", "The job goes on"),
        );
      case FrameType.STARTED:
        // It is printed for scripts, which give it to our own flags.
        if (fields.has("jobId")) jobIdIn(fields, "jobId");
        if (fields.has("stdinOffset")) {
          this.stdinOffset = fields.integer("stdinOffset");
        }
    }
    super.message(frame);
  }

  #dropped(fields: Fields): void {
    const from = fields.integer("from");
    const to = fields.integer("to", { min: from });
    const stream = fields.text("stream");
    if (stream !== "stdout" && stream !== "stderr") {
      throw fields.wrong("stream", "stdout or stderr");
    }
    this.dropped += to - from;
    this.onDropped?.({ stream, from, to });
  }
}
