import fc from "fast-check";
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ReadBlocks, recycle } from "../core/adapter/read_blocks.ts";
import type { FrameSink } from "../core/channel/frame_sink.ts";
import { HeldStream } from "../core/channel/held_stream.ts";
import { deferred } from "../core/deferred.ts";
import { LimpetError } from "../core/errors.ts";
import { OutputPump } from "../core/exec/output_pump.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { ackFrame } from "../core/link/ack.ts";
import type { LinkReceiver } from "../core/link/link.ts";
import { ReplayBuffer } from "../core/link/replay_buffer.ts";
import { type Carrier, ResumableLink } from "../core/link/resumable_link.ts";
import { Carrier as ServerCarrier } from "../core/server/carrier.ts";
import { adapter } from "./support/adapter.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const LOST = new LimpetError("connection_lost", "Connection lost");

const NO_SINK: FrameSink = { control() {}, raw() {}, schedule() {} };

/** A DATA frame that says when its memory is free. */
function frameOf(bytes: number, recycle: () => void): Frame {
  const payload = new Uint8Array(bytes);
  return { type: FrameType.DATA, stream: 1, channel: 1, payload, recycle };
}

/** Counts how often it is called. */
function counter(): { count: number; readonly add: () => void } {
  const counted = { count: 0, add: () => void counted.count++ };
  return counted;
}

describe("blocks to read into", () => {
  test("never give memory out that somebody may still look at", () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ read: fc.nat({ max: 70_000 }) }) },
        { weight: 2, arbitrary: fc.record({ free: fc.nat() }) },
      ),
      { maxLength: 80 },
    );
    fc.assert(fc.property(steps, (script) => {
      // Two pipes, for blocks go from one to another.
      const pipes = [new ReadBlocks(), new ReadBlocks()];
      let next = pipes.map((pipe) => pipe.next());
      const lent: { chunk: Uint8Array; value: number }[] = [];
      script.forEach((step, index) => {
        const value = index + 1;
        if ("free" in step) {
          const [free] = lent.splice(step.free % (lent.length || 1), 1);
          if (free !== undefined) recycle(free.chunk);
        } else {
          const which = index % 2;
          const length = Math.min(step.read + 1, next[which].byteLength);
          next[which].subarray(0, length).fill(value);
          const chunk = pipes[which].take(length);
          expect(chunk.byteLength).toBe(length);
          lent.push({ chunk, value });
          next = next.map((each, i) => i === which ? pipes[i].next() : each);
          // As large as it may be, and read into by the system at any time.
          for (const each of next) each.fill(0);
        }
        for (const { chunk, value } of lent) {
          expect([chunk[0], chunk.at(-1)]).toEqual([value, value]);
        }
      });
      for (const { chunk } of lent) recycle(chunk);
    }));
  });

  test("are used again, and grow with what comes", () => {
    const pipe = new ReadBlocks();
    const seen = new Set<ArrayBufferLike>();
    const sizes = new Set<number>();
    for (let i = 0; i < 1_000; i++) {
      const { byteLength } = pipe.next();
      const chunk = pipe.take(byteLength);
      seen.add(chunk.buffer);
      sizes.add(chunk.byteLength);
      recycle(chunk);
    }
    expect([...sizes]).toEqual([4_096, 16_384, 65_536]);
    expect(seen.size).toBeLessThan(6);
  });

  test("take small chunks side by side", () => {
    const pipe = new ReadBlocks();
    const chunks = Array.from({ length: 8 }, () => {
      pipe.next();
      return pipe.take(100);
    });
    expect(new Set(chunks.map(({ buffer }) => buffer)).size).toBe(1);
  });

  test("know their own memory", () => {
    expect(() => recycle(new Uint8Array(65_536))).not.toThrow();
  });
});

test("a chunk is over with the last of its frames, whatever credit cuts it", () => {
  const stream = new HeldStream(NO_SINK, 1, 1, 70);
  const [first, second, third] = [counter(), counter(), counter()];
  stream.push(new Uint8Array(50), first.add);
  stream.push(new Uint8Array(30));
  stream.push(new Uint8Array(40), second.add);
  stream.push(new Uint8Array(1), third.add);
  expect(stream.nextFrame(32)).toBeNull();
  stream.release();
  const frames: Frame[] = [];
  const take = () => {
    for (let frame; (frame = stream.nextFrame(32)) !== null;) {
      frames.push(frame);
    }
  };
  take();
  stream.addCredit(100);
  take();
  const told = frames.map(({ payload, recycle }) => {
    recycle?.();
    const counts = [first.count, second.count, third.count].join("");
    return `${payload.byteLength}:${counts}`;
  });
  expect(told).toEqual(
    ["32:000", "18:100", "20:100", "10:100", "32:100"].concat(
      ["8:110", "1:111"],
    ),
  );
});

test("a pump says whose memory is free", () => {
  const chunks = [new Uint8Array(5), new Uint8Array(6)];
  const pipe = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const freed: Uint8Array[] = [];
  return new Promise<void>((resolve) => {
    new OutputPump(
      pipe.getReader(),
      {
        onStop: null,
        push: (chunk, recycle) => {
          expect(chunks.map(({ buffer }) => buffer)).toContain(chunk.buffer);
          recycle?.();
        },
        whenBelow: () => Promise.resolve(),
        end: () => resolve(),
        abort: () => {},
      },
      null,
      (chunk) => freed.push(chunk),
    );
  }).then(() => expect(freed).toEqual(chunks));
});

describe("what may have to be sent again", () => {
  const options = { maxReplayBytes: Infinity, owned: true };

  test("is free once it was written and the peer has it, each once", () => {
    const buffer = new ReplayBuffer(options);
    // Kept as it is, kept because it is large, copied.
    const sizes = [10, 4_096, 2];
    const counts = sizes.map(counter);
    const memory = new ArrayBuffer(65_536);
    sizes.forEach((size, i) =>
      buffer.push({
        ...frameOf(size, counts[i].add),
        payload: i === 0
          ? new Uint8Array(size)
          : new Uint8Array(memory, i, size),
      })
    );
    expect(buffer.at(1)!.payload.buffer).toBe(memory);
    expect(buffer.at(2)!.payload.buffer).not.toBe(memory);
    const now = () => counts.map(({ count }) => count);
    // Nobody needs what there is a copy of.
    expect(now()).toEqual([0, 0, 1]);
    buffer.acknowledge(2, 3);
    buffer.recycle(1);
    expect(now()).toEqual([1, 0, 1]);
    buffer.recycle(3);
    expect(now()).toEqual([1, 1, 1]);
    buffer.acknowledge(3, 3);
    buffer.recycle(3);
    expect(now()).toEqual([1, 1, 1]);
  });

  test("is never free if a connection was given up meanwhile, or all is", () => {
    const buffer = new ReplayBuffer(options);
    const [before, after, late] = [counter(), counter(), counter()];
    buffer.push(frameOf(10, before.add));
    buffer.abandon();
    buffer.push(frameOf(10, after.add));
    buffer.acknowledge(2, 2);
    buffer.recycle(2);
    buffer.push(frameOf(10, late.add));
    buffer.clear();
    expect([before, after, late].map(({ count }) => count)).toEqual([0, 1, 0]);
  });
});

describe("a link that outlives its connections", () => {
  /** A connection whose sends end when they are told to. */
  function connection() {
    let receiver: LinkReceiver | undefined;
    const begun = deferred<void>();
    const written = deferred<void>();
    const carrier: Carrier = {
      peer: "test",
      heardAt: 0,
      start: (given) => void (receiver = given),
      send: () => {
        begun.resolve();
        return written.promise;
      },
      close: () => Promise.resolve(),
      abort: () => {},
    };
    const acknowledge = (count: number) =>
      receiver!.frame(ackFrame(count), true);
    const write = async () => {
      written.resolve();
      await new Promise((resolve) => setTimeout(resolve));
    };
    return { carrier, begun: begun.promise, write, acknowledge };
  }

  const linkOver = (carrier: Carrier) => {
    const link = new ResumableLink(carrier, {
      maxReplayBytes: Infinity,
      owned: true,
      onLost: () => {},
      onOver: () => {},
    });
    link.keep(true);
    link.start({ frame: () => {}, ended: () => {} });
    return link;
  };

  test("frees what the peer has", async () => {
    const { carrier, begun, write, acknowledge } = connection();
    const freed = counter();
    linkOver(carrier).send([frameOf(10, freed.add)]);
    await begun;
    await write();
    expect(freed.count).toBe(0);
    acknowledge(1);
    expect(freed.count).toBe(1);
  });

  // Otherwise it would be sent what others have written there meanwhile.
  test("frees nothing that is being written, whatever the peer says", async () => {
    const { carrier, begun, write, acknowledge } = connection();
    const freed = counter();
    linkOver(carrier).send([frameOf(10, freed.add)]);
    await begun;
    acknowledge(1);
    expect(freed.count).toBe(0);
    await write();
    expect(freed.count).toBe(1);
  });

  test("frees nothing that may still be on its way over a former one", async () => {
    const [one, other] = [connection(), connection()];
    const freed = counter();
    const link = linkOver(one.carrier);
    link.send([frameOf(10, freed.add)]);
    await one.begun;
    link.lost(LOST);
    link.attach(other.carrier, 0);
    await other.begun;
    await other.write();
    other.acknowledge(1);
    expect(freed.count).toBe(0);
  });

  test("nor a chunk of which a part may be", async () => {
    const [one, other] = [connection(), connection()];
    const freed = counter();
    const link = linkOver(one.carrier);
    const stream = new HeldStream(NO_SINK, 1, 1, 10);
    stream.release();
    stream.push(new Uint8Array(20), freed.add);
    link.send([stream.nextFrame(64)!]);
    await one.begun;
    link.lost(LOST);
    link.attach(other.carrier, 0);
    await other.begun;
    stream.addCredit(10);
    link.send([stream.nextFrame(64)!]);
    await other.write();
    other.acknowledge(2);
    expect(freed.count).toBe(0);
  });
});

describe("a connection that no session survives", () => {
  const carrierOver = (writev: () => Promise<void>) =>
    new ServerCarrier({
      readable: new ReadableStream(),
      writable: new WritableStream(),
      writev,
      peer: "test",
    });

  test("frees what the system has", async () => {
    const written = deferred<void>();
    const freed = counter();
    const sending = carrierOver(() => written.promise)
      .send([frameOf(10, freed.add)]);
    await Promise.resolve();
    expect(freed.count).toBe(0);
    written.resolve();
    await sending;
    expect(freed.count).toBe(1);
  });

  test("frees nothing that it could not send", async () => {
    const freed = counter();
    const sending = carrierOver(() => Promise.reject(LOST))
      .send([frameOf(10, freed.add)]);
    await expect(sending).rejects.toBe(LOST);
    expect(freed.count).toBe(0);
  });
});

test("a command's output is right although its memory is used again", async () => {
  const count = 500_000;
  const handle = await adapter.spawner({
    argv: ["seq", "1", String(count)],
    env: { PATH: process.env.PATH ?? "" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
  const hash = createHash("sha256");
  const places = new Set<ArrayBufferLike>();
  for await (const chunk of handle.stdout!) {
    hash.update(chunk);
    places.add(chunk.buffer);
    handle.recycle?.(chunk);
  }
  await handle.status;
  const expected = createHash("sha256");
  for (let i = 1; i <= count; i++) expected.update(`${i}\n`);
  expect(hash.digest("hex")).toBe(expected.digest("hex"));
  // 3.4 MB of it. Deno's streams hide whose memory it is; Bun has none of ours.
  if (THIS_RUNTIME === "node") expect(places.size).toBeLessThan(10);
});
