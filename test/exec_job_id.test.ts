import { expect, test } from "vitest";
import type { Channel } from "../core/channel/channel.ts";
import { RemoteCommand } from "../core/exec/client.ts";
import { FrameType } from "../core/frame/frame.ts";
import { jsonFrame } from "./support/raw_peer.ts";

/** A command that ends with its client, as its server says that it has started. */
function started(asked: string | undefined, jobId: string): RemoteCommand {
  const channel = { end: () => {}, send: () => {} } as unknown as Channel;
  const streams = { stdin: false, stdout: false, stderr: false, merge: false };
  const command = new RemoteCommand(channel, { ...streams, jobId: asked }, {});
  command.message(jsonFrame(FrameType.STARTED, { pid: 1, jobId }, 1));
  return command;
}

test("a server that gives a command another id than was asked for is not believed", () => {
  expect(started("mine", "mine").jobId).toBe("mine");
  expect(started(undefined, "its-own").jobId).toBe("its-own");
  expect(() => started("mine", "yours")).toThrow(
    'Field "jobId" of STARTED must be mine, not "yours"',
  );
});
