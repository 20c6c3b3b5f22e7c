import fc from "fast-check";
import { expect, test } from "vitest";
import type { FrameSource } from "../core/channel/frame_sink.ts";
import { type Deferred, deferred } from "../core/deferred.ts";
import type { LimpetError } from "../core/errors.ts";
import {
  type Frame,
  FrameType,
  KEPT_FRAME_BYTES,
} from "../core/frame/frame.ts";
import type { Link } from "../core/link/link.ts";
import { FrameWriter } from "../core/session/frame_writer.ts";
import { PartAssembler } from "../core/session/parts.ts";
import { eventually } from "./support/leaks.ts";

/** A link that takes a batch only when it is told to. */
class SlowLink implements Link {
  readonly peer = "test";
  readonly heardAt = 0;
  readonly batches: Frame[][] = [];
  dismissed = false;
  #taken: Deferred<void> | null = null;

  start(): void {}
  close = () => Promise.resolve();
  abort(): void {}

  send(frames: readonly Frame[]): Promise<void> {
    if (this.#taken !== null) throw new Error("Two sends under way");
    this.batches.push([...frames]);
    this.#taken = deferred();
    return this.#taken.promise;
  }

  /** Takes what is being sent, if anything is, and waits for the next turn. */
  async take(error?: Error): Promise<void> {
    await settle();
    const taken = this.#taken;
    this.#taken = null;
    if (error === undefined) taken?.resolve();
    else taken?.reject(error);
    await settle();
  }

  get busy(): boolean {
    return this.#taken !== null;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/** A stream that always has data, or has so many bytes. */
function source(channel: number, bytes = Infinity): FrameSource {
  let left = bytes;
  return {
    nextFrame(maxPayload) {
      const size = Math.min(left, maxPayload);
      if (size === 0) return null;
      left -= size;
      const payload = new Uint8Array(size);
      return { type: FrameType.DATA, stream: 1, channel, payload };
    },
    sent() {},
  };
}

function writing(limits = {}) {
  const link = new SlowLink();
  const errors: LimpetError[] = [];
  const writer = new FrameWriter(link, {
    frameBytes: 16_384,
    controlBytes: 4_194_304,
    queuedBytes: 8_388_608,
    ...limits,
  }, (error) => errors.push(error));
  return { link, errors, writer };
}

const control = (channel: number, size = 10): Frame => ({
  type: FrameType.SIGNAL,
  stream: 0,
  channel,
  payload: new Uint8Array(size),
});

test("control leaves before any data that waits", async () => {
  const { link, writer } = writing();
  writer.schedule(source(1));
  await link.take();
  writer.raw(control(3));
  writer.raw(control(5));
  await link.take();
  const next = link.batches[2];
  expect(next.slice(0, 3).map(({ channel }) => channel)).toEqual([3, 5, 1]);
});

test("a control frame waits for one batch of data at most", async () => {
  const { link, writer } = writing();
  for (let channel = 1; channel < 99; channel += 2) {
    writer.schedule(source(channel));
  }
  await link.take();
  writer.raw(control(101));
  await link.take();
  expect(link.batches[2][0].channel).toBe(101);
  for (const batch of link.batches) {
    const bytes = batch.reduce((sum, f) => sum + f.payload.byteLength, 0);
    expect(bytes).toBeLessThanOrEqual(262_144 + 16_384);
  }
});

test("every stream with data gets its turn, round and round", async () => {
  const { link, writer } = writing();
  const channels = [1, 3, 5, 7, 9];
  for (const channel of channels) writer.schedule(source(channel));
  for (let i = 0; i < 6; i++) await link.take();
  const order = link.batches.flat().map(({ channel }) => channel);
  expect(order.length).toBeGreaterThan(50);
  order.forEach((channel, i) => expect(channel).toBe(channels[i % 5]));
});

test("a keystroke does not wait behind a gigabyte", async () => {
  const { link, writer } = writing();
  for (const channel of [1, 3, 5]) writer.schedule(source(channel));
  await link.take();
  writer.schedule(source(7, 1));
  await link.take();
  const at = link.batches[2].findIndex(({ channel }) => channel === 7);
  expect(at).toBeGreaterThanOrEqual(0);
  expect(at).toBeLessThanOrEqual(3);
});

test("a source that has nothing is asked again only when it is scheduled", async () => {
  const { link, writer } = writing();
  const empty = source(1, 5);
  writer.schedule(empty);
  writer.schedule(empty);
  await link.take();
  await link.take();
  expect(link.batches.flat()).toHaveLength(1);
  expect(link.busy).toBe(false);
  let asked = 0;
  writer.schedule({ nextFrame: () => (asked++, null), sent: () => {} });
  await link.take();
  expect(asked).toBe(1);
});

test("nothing comes between the parts of a message", async () => {
  const anyMessage = fc.record({
    channel: fc.integer({ min: 0, max: 5 }).map((n) => 2 * n + 1),
    size: fc.oneof(
      fc.integer({ min: 0, max: 5_000 }),
      fc.integer({ min: 0, max: 600_000 }),
    ),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyMessage, fc.boolean()), { maxLength: 10 }),
      async (script) => {
        const { link, writer } = writing({ frameBytes: 1_024 });
        writer.schedule(source(99, 2_000_000));
        for (const [{ channel, size }, pause] of script) {
          writer.raw(control(channel, size));
          if (pause) await link.take();
        }
        await eventuallyIdle(link);
        const assembler = new PartAssembler(4_194_304);
        const whole = link.batches.flat()
          .map((frame) => assembler.push(frame))
          .filter((frame) => frame !== null);
        const messages = whole.filter(({ type }) => type === FrameType.SIGNAL)
          .map(({ channel, payload }) => [channel, payload.byteLength]);
        expect(messages).toEqual(
          script.map(([{ channel, size }]) => [channel, size]),
        );
      },
    ),
    { numRuns: 40 },
  );
});

async function eventuallyIdle(link: SlowLink): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    await link.take();
    if (!link.busy) return;
  }
  throw new Error("The writer never came to rest");
}

test("control that a peer does not read is bounded, and then an error", async () => {
  const { link, errors, writer } = writing({ queuedBytes: 10_000 });
  writer.raw(control(1));
  await settle();
  let queued = 0;
  while (errors.length === 0 && queued < 1_000_000) {
    writer.raw(control(3, 90));
    queued += 90 + KEPT_FRAME_BYTES;
  }
  expect(errors[0]).toMatchObject({ code: "limit_exceeded" });
  expect(queued).toBeGreaterThan(9_000);
  expect(queued).toBeLessThanOrEqual(10_000 + 90 + KEPT_FRAME_BYTES);
  // What had been queued is let go, and nothing more is taken.
  writer.raw(control(5));
  await link.take();
  await link.take();
  expect(link.batches.flat()).toHaveLength(1);
});

test("a message that the peer would not take is refused here", () => {
  const { writer } = writing({ frameBytes: 500, controlBytes: 1_000 });
  const body = { text: "x".repeat(1_000) };
  expect(() => writer.control(FrameType.OPEN, 0, 1, body)).toThrow(
    expect.objectContaining({ code: "limit_exceeded" }),
  );
});

test("finish sends what control is queued, then the last frame, no data", async () => {
  const { link, writer } = writing();
  writer.schedule(source(1));
  await settle();
  writer.raw(control(3));
  const finished = writer.finish({ ...control(0), type: FrameType.CLOSE });
  writer.raw(control(5));
  writer.schedule(source(7));
  await eventuallyIdle(link);
  await finished;
  const [, ...rest] = link.batches;
  expect(rest.flat().map(({ type }) => type)).toEqual(
    [FrameType.SIGNAL, FrameType.CLOSE],
  );
});

test("a link that fails ends the writer with connection_lost", async () => {
  const { link, errors, writer } = writing();
  writer.raw(control(1));
  await link.take(new TypeError("Broken"));
  await eventually(() => errors.length === 1, () => "an error");
  expect(errors[0]).toMatchObject({ code: "connection_lost" });
  writer.raw(control(1));
  await link.take();
  expect(link.batches).toHaveLength(1);
});

test("requests that wait do not end the session, answers that wait do", async () => {
  const link = new SlowLink();
  const errors: LimpetError[] = [];
  const limits = { frameBytes: 1_024, controlBytes: 8_192, queuedBytes: 4_096 };
  const writer = new FrameWriter(link, limits, (error) => errors.push(error));
  const body = { text: "x".repeat(3_000) };
  for (let channel = 1; channel < 20; channel += 2) {
    writer.control(FrameType.OPEN, 0, channel, body);
  }
  expect(errors).toEqual([]);
  while (link.batches.flat().length < 30) await link.take();
  await link.take();
  writer.control(FrameType.STARTED, 0, 1, body);
  expect(errors).toEqual([]);
  writer.control(FrameType.STARTED, 0, 3, body);
  expect(errors.map(({ code }) => code)).toEqual(["limit_exceeded"]);
});
