import { expect, test, vi } from "vitest";
import type { FrameSink } from "../core/channel/frame_sink.ts";
import { SendStream } from "../core/channel/send_stream.ts";
import { OutputPump } from "../core/exec/output_pump.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { pass, useFakeTime } from "./support/fake_time.ts";

useFakeTime();

/** A stream whose frames leave at once; settles with them at its END. */
function sending(): { send: SendStream; frames: Promise<Frame[]> } {
  const frames: Frame[] = [];
  const sink: FrameSink = {
    control: () => {},
    raw: () => {},
    schedule: (source) => {
      let frame: Frame | null;
      while ((frame = source.nextFrame(65_536)) !== null) {
        frames.push(frame);
        source.sent(frame.payload.byteLength);
      }
    },
  };
  const send = new SendStream(sink, 1, 1, 1_000_000);
  const ended = new Promise<Frame[]>((resolve) => {
    // The END itself is put into `frames` right after this is told.
    send.onFinished = () => setTimeout(() => resolve(frames), 0);
  });
  return { send, frames: ended };
}

function summary(frames: Frame[]): unknown[] {
  return frames.map(({ type, payload }) => {
    const text = new TextDecoder().decode(payload);
    return type === FrameType.END ? JSON.parse(text) : text;
  });
}

/** A pipe that never ends, with a piece for each of the delays. */
function pipe(...delays: number[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const ms = delays.shift();
      if (ms === undefined) return await new Promise(() => {});
      await new Promise((resolve) => setTimeout(resolve, ms));
      controller.enqueue(new TextEncoder().encode("hi"));
    },
  }, { highWaterMark: 0 });
}

test("what is in the pipe at the end comes a few turns later, and counts", async () => {
  const { send, frames } = sending();
  new OutputPump(pipe(4).getReader(), send).commandEnded(0);
  await pass(30, 1);
  expect(summary(await frames)).toEqual(["hi", { bytes: 2, heldOpen: true }]);
});

test("what comes later is what others write", async () => {
  const { send, frames } = sending();
  new OutputPump(pipe(1_000).getReader(), send).commandEnded(0);
  await pass(30, 1);
  expect(summary(await frames)).toEqual([{ bytes: 0, heldOpen: true }]);
});

test("the time of waiting adds up", async () => {
  const { send, frames } = sending();
  const drips = Array.from({ length: 1_000 }, () => 20);
  new OutputPump(pipe(...drips).getReader(), send).commandEnded(1_000);
  await pass(1_000, 5);
  // Its time is up, and what comes in the last turns after it counts too.
  expect(send.finished).toBe(false);
  await pass(2_000, 5);
  const said = summary(await frames);
  expect(said.length).toBeGreaterThan(50);
  expect(said.length).toBeLessThan(120);
  expect(said.at(-1)).toMatchObject({ heldOpen: true });
});

/** A pipe that has nothing, and has ended. */
function endedPipe(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}

test("END waits a moment for the command's own end, and leaves with it", async () => {
  const { send } = sending();
  const pump = new OutputPump(endedPipe().getReader(), send);
  await pass(1, 1);
  expect(send.finished).toBe(false);
  send.onFinished = null;
  pump.commandEnded(60_000);
  // Not a turn later: then it would be a write of its own.
  expect(send.finished).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("a command that has closed its output and goes on is not waited for", async () => {
  const { send } = sending();
  const pump = new OutputPump(endedPipe().getReader(), send);
  await pass(5, 1);
  expect(send.finished).toBe(true);
  pump.commandEnded(60_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("a pump that is abandoned while it waits leaves no timer", async () => {
  const { send } = sending();
  const pump = new OutputPump(endedPipe().getReader(), send);
  await pass(1, 1);
  pump.abandon(60_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("a pipe that failed before the command ended is not waited for", async () => {
  const { send } = sending();
  const broken = new ReadableStream<Uint8Array>({
    pull: () => Promise.reject(new Error("EIO")),
  }, { highWaterMark: 0 });
  const pump = new OutputPump(broken.getReader(), send);
  await pass(5, 1);
  expect(send.finished).toBe(true);
  pump.commandEnded(60_000);
  expect(vi.getTimerCount()).toBe(0);
});
