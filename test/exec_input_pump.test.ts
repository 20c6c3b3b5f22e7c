/**
 * How what comes for a command's stdin is written to it. What core alone decides.
 *
 * @module
 */

import { expect, test } from "vitest";
import { ReceiveStream } from "../core/channel/receive_stream.ts";
import { pumpInput } from "../core/exec/input_pump.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import type { GatheringStream } from "../core/ports.ts";
import { NO_GROWTH } from "./support/frames.ts";

/** Input on its way to something that says what it was given at a time. */
function pumping(fails = false) {
  const sent: number[] = [];
  const sink = {
    raw: ({ type }: Frame) => void sent.push(type),
    control: () => {},
    schedule: () => {},
  };
  const input = new ReceiveStream(sink, 1, 0, 1_000_000, NO_GROWTH);
  const writes: number[][] = [];
  let written = 0;
  const write = (chunks: readonly Uint8Array[]) => {
    writes.push(chunks.map(({ byteLength }) => byteLength));
    return fails ? Promise.reject(new Error("Closed")) : Promise.resolve();
  };
  const to: GatheringStream = new WritableStream<Uint8Array>({
    write: (chunk) => write([chunk]),
  });
  const pump = (gathers: boolean) =>
    pumpInput(
      input.readable,
      gathers ? Object.assign(to, { writev: write }) : to,
      new Promise(() => {}),
      (bytes) => written += bytes,
      () => input.queue.byteLength,
    );
  /** As a read of a socket brings them: one directly behind the other. */
  const bring = (...sizes: number[]) => {
    for (const size of sizes) input.data(new Uint8Array(size));
  };
  return { input, sent, writes, pump, bring, written: () => written };
}

test("what waits behind a small piece is written together with it", async () => {
  const { input, writes, pump, bring, written } = pumping();
  bring(10, 65_516, 20, 65_506, 30);
  input.end(10 + 65_516 + 20 + 65_506 + 30, false);
  await pump(true);
  expect(writes).toEqual([[10, 65_516, 20], [65_506, 30]]);
  expect(written()).toBe(131_082);
});

test("a large piece waits for nothing, and nothing that is not there yet is waited for", async () => {
  const { input, writes, pump, bring } = pumping();
  bring(65_536, 10);
  const pumped = pump(true);
  await expect.poll(() => writes).toEqual([[65_536], [10]]);
  bring(7);
  input.end(65_553, false);
  await pumped;
  expect(writes).toEqual([[65_536], [10], [7]]);
});

test("each piece has its write where several cannot be written at once", async () => {
  const { input, writes, pump, bring } = pumping();
  bring(5_000, 6_000);
  input.end(11_000, false);
  await pump(false);
  expect(writes).toEqual([[5_000], [6_000]]);
});

test("pieces that cannot be written are the last that are asked for", async () => {
  const { sent, writes, pump, bring, written } = pumping(true);
  bring(5_000, 6_000);
  await pump(true);
  expect(writes).toEqual([[5_000, 6_000]]);
  expect(written()).toBe(0);
  expect(sent).toContain(FrameType.STOP);
});
