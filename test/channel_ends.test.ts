import { expect, test } from "vitest";
import { Channel } from "../core/channel/channel.ts";
import type { FrameSink } from "../core/channel/frame_sink.ts";
import { ReceiveStream } from "../core/channel/receive_stream.ts";
import { SendStream } from "../core/channel/send_stream.ts";
import { LimpetError } from "../core/errors.ts";
import { decodeControl, encodeControl } from "../core/frame/control.ts";
import { type Frame, frameName, FrameType } from "../core/frame/frame.ts";
import { join, NO_GROWTH } from "./support/frames.ts";
import { jsonFrame } from "./support/raw_peer.ts";

const LOST = new LimpetError("connection_lost", "Lost");
const byte = (value: number) => Uint8Array.of(value);

function sinkInto(frames: Frame[]): FrameSink {
  return {
    raw: (frame) => frames.push(frame),
    control: (type, stream, channel, body) => {
      frames.push({ type, stream, channel, payload: encodeControl(body) });
    },
    schedule: () => {},
  };
}

function receiving() {
  const frames: Frame[] = [];
  return {
    frames,
    stream: new ReceiveStream(sinkInto(frames), 1, 1, 1_000, NO_GROWTH),
  };
}

function sending(credit = 1_000) {
  const frames: Frame[] = [];
  return { frames, stream: new SendStream(sinkInto(frames), 1, 0, credit) };
}

/** All that can be read, and the error after it, if it is not a clean end. */
async function readAll(readable: ReadableStream<Uint8Array>) {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of readable) chunks.push(chunk);
    return { bytes: [...join(chunks)], error: null };
  } catch (error) {
    return { bytes: [...join(chunks)], error };
  }
}

test("END with the right total closes the stream, after the last byte", async () => {
  const { stream } = receiving();
  stream.data(byte(1));
  stream.data(byte(2));
  stream.end(2, false);
  expect(stream.complete).toBe(true);
  expect(await readAll(stream.readable)).toEqual({
    bytes: [1, 2],
    error: null,
  });
});

test.each([1, 3])(
  "END that says %i where 2 came is a loss, after what came",
  async (total) => {
    const { stream } = receiving();
    stream.data(byte(1));
    stream.data(byte(2));
    stream.end(total, false);
    expect(stream.complete).toBe(false);
    const { bytes, error } = await readAll(stream.readable);
    expect(bytes).toEqual([1, 2]);
    expect(error).toMatchObject({ code: "connection_lost" });
  },
);

test("what came before a loss can be read, and then it errors", async () => {
  for (const lose of ["fail", "abort"] as const) {
    const { stream } = receiving();
    stream.data(byte(1));
    stream[lose](LOST);
    expect(stream.complete).toBe(false);
    expect(await readAll(stream.readable)).toEqual({ bytes: [1], error: LOST });
  }
});

test("a loss reaches a reader that is waiting already", async () => {
  const { stream } = receiving();
  const all = readAll(stream.readable);
  stream.fail(LOST);
  expect(await all).toEqual({ bytes: [], error: LOST });
});

test("a loss after END changes nothing", async () => {
  const { stream } = receiving();
  stream.data(byte(1));
  stream.end(1, false);
  stream.fail(LOST);
  expect(await readAll(stream.readable)).toEqual({ bytes: [1], error: null });
});

test("whatever comes after END or ABORT is a protocol error", () => {
  const end = jsonFrame(FrameType.END, { bytes: 0 }, 1, 1);
  const abort = jsonFrame(FrameType.ABORT, { code: "x", message: "y" }, 1, 1);
  const data = {
    type: FrameType.DATA,
    stream: 1,
    channel: 1,
    payload: byte(1),
  };
  for (const last of [end, abort]) {
    const channel = new Channel({
      id: 1,
      sink: sinkInto([]),
      sendWindow: 0,
      receiveWindow: 1_000,
      growth: NO_GROWTH,
      onEnded: () => {},
    });
    channel.addReceiveStream(1).readable.getReader().closed.catch(() => {});
    channel.receive(last);
    for (const late of [data, end, abort]) {
      expect(() => channel.receive(late)).toThrow(
        expect.objectContaining({
          code: "protocol_error",
          message:
            `Peer sent ${frameName(late.type)} on channel 1, stream 1, ` +
            "after its end",
        }),
      );
    }
  }
});

test("a stream that its reader cancelled is never complete", async () => {
  const { stream, frames } = receiving();
  stream.data(byte(1));
  await stream.readable.cancel();
  stream.data(byte(2));
  stream.end(2, false);
  expect(stream.complete).toBe(false);
  expect(frames.map(({ type }) => type)).toEqual([FrameType.STOP]);
});

test("END carries the total of all DATA, and comes once", () => {
  const { stream } = sending();
  stream.push(new Uint8Array(10));
  stream.push(new Uint8Array(5));
  stream.end();
  stream.end();
  const types: number[] = [];
  let frame: Frame | null;
  let last: Frame | null = null;
  while ((frame = stream.nextFrame(8)) !== null) {
    types.push(frame.type);
    last = frame;
  }
  const { DATA, END } = FrameType;
  expect(types).toEqual([DATA, DATA, DATA, END]);
  expect(decodeControl(last!.payload, "END").integer("bytes")).toBe(15);
  expect(stream.finished).toBe(true);
});

test("without credit there is no DATA, and no END before it", () => {
  const { stream } = sending(4);
  stream.push(new Uint8Array(5));
  stream.end();
  expect(stream.nextFrame(100)?.payload.byteLength).toBe(4);
  expect(stream.nextFrame(100)).toBeNull();
  stream.addCredit(1);
  expect(stream.nextFrame(100)?.payload.byteLength).toBe(1);
  expect(stream.nextFrame(100)?.type).toBe(FrameType.END);
});

test("STOP drops what is queued, and END says what was sent", async () => {
  const { stream } = sending(4);
  let stopped = 0;
  stream.onStop = () => stopped++;
  stream.push(new Uint8Array(10));
  const waiting = expect(stream.whenBelow(1)).rejects.toMatchObject({
    code: "broken_pipe",
  });
  stream.nextFrame(100);
  stream.stop();
  stream.stop();
  await waiting;
  expect(stopped).toBe(1);
  expect(() => stream.push(byte(1))).toThrow("has closed it");
  const end = stream.nextFrame(100);
  expect(end?.type).toBe(FrameType.END);
  expect(decodeControl(end!.payload, "END").integer("bytes")).toBe(4);
  expect(stream.nextFrame(100)).toBeNull();
});

test("abort drops what is queued and sends ABORT in place of END", async () => {
  const { stream, frames } = sending(4);
  stream.push(new Uint8Array(10));
  const waiting = expect(stream.whenBelow(1)).rejects.toThrow("gone");
  stream.abort("cancelled", "gone");
  await waiting;
  expect(frames.map(({ type }) => type)).toEqual([FrameType.ABORT]);
  expect(stream.nextFrame(100)).toBeNull();
  stream.end();
  expect(stream.nextFrame(100)).toBeNull();
});

test("a lost session wakes and refuses the writer", async () => {
  const { stream } = sending(0);
  stream.push(byte(1));
  const waiting = expect(stream.whenBelow(1)).rejects.toBe(LOST);
  stream.fail(LOST);
  await waiting;
  expect(() => stream.push(byte(1))).toThrow(LOST);
  expect(stream.finished).toBe(true);
});

test("whenBelow waits for the transport, not for the queue", async () => {
  const { stream } = sending();
  stream.push(new Uint8Array(10));
  let settled = false;
  const waiting = stream.whenBelow(5).then(() => settled = true);
  stream.nextFrame(100);
  await Promise.resolve();
  stream.sent(5);
  for (let i = 0; i < 5; i++) await Promise.resolve();
  expect(settled).toBe(false);
  stream.sent(1);
  await waiting;
});
