/**
 * What a command on the server needs of its channel: a client's own, or one that
 * outlives its clients.
 *
 * @module
 */

import type { ChannelHandler } from "../channel/channel.ts";
import type { ReceiveStream } from "../channel/receive_stream.ts";
import type { HeldStream } from "../channel/held_stream.ts";
import type { OutputSink } from "./output_pump.ts";

/** Where a command's stdin comes from. */
export type JobInput =
  & Pick<ReceiveStream, "readable" | "fail" | "onAborted">
  & Partial<Pick<ReceiveStream, "queue">>;

/** Where what a command writes goes to. */
export type JobOutput =
  & OutputSink
  & Pick<HeldStream, "release" | "finished" | "onFinished">;

/** See the module's description. */
export interface JobChannel {
  /** Numbers the commands of a session. */
  readonly id: number;
  handler: ChannelHandler | null;
  addReceiveStream(stream: number): JobInput;
  addSendStream(stream: number, Kind: typeof HeldStream): JobOutput;
  send(type: number, body: object): void;
  end(): void;
}
