import fc from "fast-check";
import { expect, test } from "vitest";
import type { FrameSink } from "../core/channel/frame_sink.ts";
import { ReceiveStream } from "../core/channel/receive_stream.ts";
import { SendStream } from "../core/channel/send_stream.ts";
import { encodeControl } from "../core/frame/control.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { join, NO_GROWTH } from "./support/frames.ts";

/** One stream between two sides, each of whose steps is taken by hand. */
class Wire {
  readonly window: number;
  readonly toReader: Frame[] = [];
  readonly toSender: Frame[] = [];
  readonly sender: SendStream;
  readonly receiver: ReceiveStream;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly got: Uint8Array[] = [];
  sent = 0;
  received = 0;
  consumed = 0;
  credited = 0;
  done = false;
  #scheduled = false;
  #reading = false;

  constructor(window: number) {
    this.window = window;
    this.sender = new SendStream(this.#sink(this.toReader), 1, 1, window);
    this.receiver = new ReceiveStream(
      this.#sink(this.toSender),
      1,
      1,
      window,
      NO_GROWTH,
    );
    this.reader = this.receiver.readable.getReader();
  }

  #sink(queue: Frame[]): FrameSink {
    return {
      raw: (frame) => queue.push(frame),
      control: (type, stream, channel, body) => {
        queue.push({ type, stream, channel, payload: encodeControl(body) });
      },
      schedule: () => {
        this.#scheduled = true;
      },
    };
  }

  /** The writer gives the sender one turn. */
  turn(maxPayload: number): void {
    if (!this.#scheduled) return;
    const frame = this.sender.nextFrame(maxPayload);
    if (frame === null) {
      this.#scheduled = false;
      return;
    }
    expect(frame.payload.byteLength).toBeLessThanOrEqual(
      frame.type === FrameType.DATA ? maxPayload : Infinity,
    );
    if (frame.type === FrameType.DATA) {
      this.sent += frame.payload.byteLength;
      this.sender.sent(frame.payload.byteLength);
    }
    this.toReader.push(frame);
  }

  deliver(): void {
    const frame = this.toReader.shift();
    if (frame?.type === FrameType.DATA) {
      this.received += frame.payload.byteLength;
      this.receiver.data(frame.payload);
    } else if (frame?.type === FrameType.END) {
      const text = new TextDecoder().decode(frame.payload);
      this.receiver.end(JSON.parse(text).bytes, false);
    }
  }

  credit(): void {
    const frame = this.toSender.shift();
    if (frame === undefined) return;
    expect(frame.type).toBe(FrameType.CREDIT);
    const bytes = new DataView(frame.payload.buffer).getUint32(0);
    this.credited += bytes;
    this.sender.addCredit(bytes);
  }

  read(): void {
    if (this.#reading || this.done) return;
    this.#reading = true;
    this.reader.read().then(({ done, value }) => {
      this.#reading = false;
      if (done) this.done = true;
      else {
        this.got.push(value);
        this.consumed += value.byteLength;
      }
    });
  }

  async check(): Promise<void> {
    for (let i = 0; i < 10; i++) await Promise.resolve();
    // Nobody is ever made to hold more than a window, on the way or not.
    must(this.sent - this.consumed <= this.window, "within the window");
    must(this.sent <= this.window + this.credited, "within the credit");
    // Credit is for what was consumed, and none of it is lost for good.
    const granted = this.toSender.reduce(
      (sum, { payload }) => sum + new DataView(payload.buffer).getUint32(0),
      this.credited,
    );
    must(granted <= this.consumed, "credit only for what was consumed");
    must(
      this.receiver.finished || (this.consumed - granted) * 2 < this.window,
      "credit as soon as half a window was consumed",
    );
  }
}

/** As `expect`, which is too slow for the inside of this loop. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Broken: ${what}`);
}

const anyChunks = fc.array(fc.integer({ min: 0, max: 120 }), { maxLength: 8 });
const anyAction = fc.constantFrom("turn", "deliver", "credit", "read");

test("windows hold, credits add up and nothing stands still, in any order of events", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 100 }),
      anyChunks,
      fc.array(anyAction, { maxLength: 60 }),
      async (window, maxPayload, sizes, script) => {
        const wire = new Wire(window);
        const chunks = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
        for (const chunk of chunks) wire.sender.push(chunk);
        wire.sender.end();
        const act = async (action: typeof script[number]) => {
          if (action === "turn") wire.turn(maxPayload);
          else wire[action]();
          await wire.check();
        };
        for (const action of script) await act(action);
        const total = sizes.reduce((sum, size) => sum + size, 0);
        for (let round = 0; !wire.done; round++) {
          expect(round, "rounds, as if nothing moved").toBeLessThan(
            10 + 3 * total,
          );
          for (const action of ["turn", "deliver", "credit", "read"] as const) {
            await act(action);
          }
        }
        expect(join(wire.got)).toEqual(join(chunks));
        expect(wire.receiver.complete).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});

/** A receiver with a window of 1,000 bytes, and what it sends. */
function receiving() {
  const frames: Frame[] = [];
  const sink: FrameSink = {
    raw: (frame) => frames.push(frame),
    control: () => {},
    schedule: () => {},
  };
  return { frames, stream: new ReceiveStream(sink, 1, 1, 1_000, NO_GROWTH) };
}

test("a full window is taken, one byte more is limit_exceeded", () => {
  const { stream } = receiving();
  stream.data(new Uint8Array(1_000));
  stream.data(new Uint8Array(0));
  expect(() => stream.data(Uint8Array.of(1))).toThrow(
    expect.objectContaining({ code: "limit_exceeded" }),
  );
});

test("consumed bytes, and they alone, may be sent again", async () => {
  const { stream, frames } = receiving();
  stream.data(new Uint8Array(499));
  stream.data(new Uint8Array(501));
  expect(frames).toEqual([]);
  const reader = stream.readable.getReader();
  let consumed = 0;
  while (consumed < 1_000) {
    consumed += (await reader.read()).value?.byteLength ?? 0;
  }
  const granted = frames.map(({ payload }) =>
    new DataView(payload.buffer).getUint32(0)
  );
  expect(granted.reduce((sum, bytes) => sum + bytes, 0)).toBe(1_000);
  stream.data(new Uint8Array(1_000));
  expect(() => stream.data(Uint8Array.of(1))).toThrow("at most 0 bytes");
});

test("a stream that was stopped still keeps its sender to the window", async () => {
  const { stream, frames } = receiving();
  await stream.readable.cancel();
  expect(frames.map(({ type }) => type)).toEqual([FrameType.STOP]);
  stream.data(new Uint8Array(1_000));
  expect(frames).toHaveLength(1);
  expect(() => stream.data(Uint8Array.of(1))).toThrow("at most 0 bytes");
});

test("credit beyond the sum that the protocol allows is refused", () => {
  const sink: FrameSink = {
    raw: () => {},
    control: () => {},
    schedule: () => {},
  };
  const stream = new SendStream(sink, 1, 0, 1_000);
  stream.addCredit(0x7fff_ffff - 1_000);
  expect(() => stream.addCredit(1)).toThrow(
    expect.objectContaining({ code: "limit_exceeded" }),
  );
});
