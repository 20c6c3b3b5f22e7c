import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { FrameSink } from "../core/channel/frame_sink.ts";
import { ReceiveStream } from "../core/channel/receive_stream.ts";
import { GROWN, type Growth, Window } from "../core/channel/window.ts";
import { LimpetError } from "../core/errors.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { Memory, Share } from "../core/memory.ts";
import { HeldGrowth } from "../core/session/held_growth.ts";

let now = 0;
beforeEach(() => {
  now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const KIB = 1_024;
const MIB = 1_024 * KIB;
/** 1 Gbit/s, in bytes per millisecond. */
const GIGABIT = 125_000;

interface Line {
  /** Of the line, the source and the reader, in bytes per millisecond. */
  readonly rate: number;
  readonly source?: number;
  readonly reader?: number;
  /** One way. */
  readonly delayMs: number;
  readonly bytes: number;
  readonly piece?: number;
  readonly growth?: number;
  readonly fastestMs?: number;
}

/** Of the handshake on that line, with no stream yet. */
function growthOf(line: Line): Growth {
  return {
    fastestMs: line.fastestMs ?? Infinity,
    grown: 0,
    most: line.growth ?? DEFAULT_LIMITS.maxWindowGrowthBytes,
    known: 0,
  };
}

/** What a credit lets the sender send. */
function bytesOf(credit: number): number {
  return credit >= GROWN ? credit - GROWN : credit;
}

/** What it came to: `rate` is that of the second half of the bytes. */
interface Transfer {
  readonly ms: number;
  readonly rate: number;
  readonly size: number;
  readonly most: number;
}

/**
 * A stream over a line, with a clock of its own. The sender's system takes all
 * that credit allows, and queues it in front of the line.
 */
function transfer(line: Line, growth: Growth = growthOf(line)): Transfer {
  const { rate, delayMs, bytes, piece = 64 * KIB } = line;
  const { source = Infinity, reader = Infinity } = line;
  now = 0;
  const events: { at: number; act: () => void }[] = [];
  const later = (at: number, act: () => void) => {
    let i = events.length;
    while (i > 0 && events[i - 1].at > at) i--;
    events.splice(i, 0, { at, act });
  };
  const window = new Window(256 * KIB, growth);
  // What it begins with comes together with what starts the sender.
  let credit = 256 * KIB + bytesOf(window.begin());
  let sent = 0;
  let lineFree = 0;
  let sourceFree = 0;
  const queue: number[] = [];
  let isBusy = false;
  let taken = 0;
  let half = 0;
  let ms = 0;
  let most = 0;

  const send = () => {
    while (credit > 0 && sent < bytes && sourceFree <= now) {
      const length = Math.min(piece, credit, bytes - sent);
      credit -= length;
      sent += length;
      lineFree = Math.max(now, lineFree) + length / rate;
      later(lineFree + delayMs, () => arrive(length));
      if (source !== Infinity) {
        sourceFree = now + length / source;
        later(sourceFree, send);
      }
    }
  };
  const give = (more: number) => {
    if (more === 0) return;
    later(now + delayMs, () => {
      credit += bytesOf(more);
      send();
    });
  };
  const arrive = (length: number) => {
    expect(length).toBeLessThanOrEqual(window.allowed);
    give(window.arrived(length, queue.reduce((sum, each) => sum + each, 0)));
    queue.push(length);
    most = Math.max(most, queue.reduce((sum, each) => sum + each, 0));
    read();
  };
  const read = () => {
    const length = isBusy ? undefined : queue.shift();
    if (length === undefined) return;
    give(window.taken(length));
    taken += length;
    if (half === 0 && taken * 2 >= bytes) half = now;
    if (taken === bytes) ms = now;
    isBusy = true;
    const done = () => {
      isBusy = false;
      read();
    };
    if (reader === Infinity) done();
    else later(now + length / reader, done);
  };
  send();
  for (let event; (event = events.shift()) !== undefined;) {
    now = event.at;
    event.act();
  }
  expect(taken).toBe(bytes);
  const { size } = window;
  window.end(0);
  return { ms, rate: bytes / 2 / (ms - half), size, most };
}

describe("a window grows with what a line can hold", () => {
  test.each([
    { rate: GIGABIT, delayMs: 50 },
    { rate: GIGABIT, delayMs: 5 },
    { rate: 40_000, delayMs: 50 },
    { rate: 12_500, delayMs: 150 },
  ])("$rate bytes/ms, $delayMs ms each way: all of it is used", (line) => {
    const roundTripMs = 2 * line.delayMs;
    const fastestMs = roundTripMs + 2;
    const { ms, rate, size } = transfer({
      ...line,
      bytes: 512 * MIB,
      fastestMs,
    });
    // To get there takes a round trip for each step but the first one, and half of
    // one is the first byte's way.
    const lostMs = ms - 512 * MIB / line.rate;
    expect(lostMs).toBeLessThan(3.5 * roundTripMs);
    expect(rate).toBeGreaterThan(0.97 * line.rate);
    // It is bounded by the line all the same: nothing overtakes what is on its way.
    // Half a window takes at most 1.5 round trips and 1 ms before the last step.
    expect(size).toBeLessThanOrEqual(8 * line.rate * (1.5 * fastestMs + 1));
  });

  test("and no further than its session's windows may", () => {
    const line = { rate: GIGABIT, delayMs: 50, bytes: 128 * MIB };
    expect(transfer({ ...line, growth: 0 }).size).toBe(256 * KIB);
    expect(transfer({ ...line, growth: MIB }).size).toBe(MIB + 256 * KIB);
  });
});

describe("a window stays as it is", () => {
  const FAR = { rate: GIGABIT, delayMs: 50, bytes: 64 * MIB };

  test("for a reader that is slower than the sender", () => {
    const { size, most } = transfer({ ...FAR, reader: 500 });
    expect(size).toBe(256 * KIB);
    expect(most).toBeLessThanOrEqual(256 * KIB);
  });

  test("for a slow line", () => {
    const slow = { rate: 1_250, delayMs: 10, bytes: 64 * MIB };
    expect(transfer({ ...slow, fastestMs: 20 }).size).toBe(256 * KIB);
    // A handshake takes a little longer, with the work of two sides in it.
    expect(transfer({ ...slow, fastestMs: 50 }).size).toBe(256 * KIB);
  });

  test("for a source that is slow", () => {
    const slow = { ...FAR, source: 100, bytes: 16 * MIB, fastestMs: 100 };
    expect(transfer(slow).size).toBe(256 * KIB);
    expect(transfer({ ...slow, piece: 1_000 }).size).toBe(256 * KIB);
  });

  test("but for one step, for a reader that stands still after that", () => {
    const growth = { fastestMs: 20, grown: 0, most: 24 * MIB, known: 0 };
    const window = new Window(256 * KIB, growth);
    const piece = 32 * KIB;
    while (window.size === 256 * KIB) {
      now += 5;
      window.arrived(piece, 0);
      window.taken(piece);
    }
    let held = 0;
    for (let trips = 0; trips < 10; trips++) {
      now += 20;
      for (let left = window.allowed; left > 0; left -= piece) {
        window.arrived(piece, held);
        held += piece;
      }
    }
    expect(window.allowed).toBe(0);
    expect(window.size).toBe(MIB);
  });

  test("for a reader that has taken nothing, however few pieces it comes in", () => {
    for (const first of [1, 8 * KIB, 32 * KIB, 60 * KIB]) {
      const growth = { fastestMs: 100, grown: 0, most: 24 * MIB, known: 0 };
      const window = new Window(64 * KIB, growth);
      now += 5;
      expect(window.arrived(first, 0)).toBe(0);
      expect(window.arrived(64 * KIB - first, first)).toBe(0);
      expect(window.allowed).toBe(0);
    }
  });

  test("where there is hardly any way", () => {
    const near = { rate: 1_000_000, delayMs: 0.1, bytes: 256 * MIB };
    expect(transfer({ ...near, fastestMs: 0.4 }).size).toBe(256 * KIB);
    // As the handshake of two busy programs has it.
    expect(transfer({ ...near, fastestMs: 4 }).size).toBe(256 * KIB);
  });
});

describe("what one window has grown by, the next begins with", () => {
  const FAR = {
    rate: GIGABIT,
    delayMs: 50,
    bytes: 512 * MIB,
    fastestMs: 102,
  };

  test("on the same connection: the line is full from the first byte on", () => {
    const growth = growthOf(FAR);
    transfer(FAR, growth);
    expect(growth).toMatchObject({ grown: 0, known: 24 * MIB });
    const { ms } = transfer(FAR, growth);
    // The first byte's way, and no round trip in which nothing comes.
    expect(ms - FAR.bytes / FAR.rate).toBeLessThan(1.2 * FAR.delayMs);
  });

  test("and no more, where a line needs no more", () => {
    const slower = { ...FAR, rate: 5_000 };
    const growth = growthOf(slower);
    const { size } = transfer(slower, growth);
    expect(growth.known).toBe(size - 256 * KIB);
    expect(new Window(256 * KIB, growth).begin()).toBe(GROWN + growth.known);
  });

  test("half of what is there at most, and nothing while any has grown", () => {
    const growth = {
      fastestMs: 100,
      grown: 0,
      most: 24 * MIB,
      known: 20 * MIB,
    };
    const first = new Window(256 * KIB, growth);
    expect(first.begin()).toBe(GROWN + 12 * MIB);
    expect(first.allowed).toBe(256 * KIB + 12 * MIB);
    const second = new Window(256 * KIB, growth);
    expect(second.begin()).toBe(0);
    first.end(0);
    expect(new Window(256 * KIB, growth).begin()).toBe(GROWN + 12 * MIB);
  });

  test("nothing where there is nothing left", () => {
    const growth = { fastestMs: 100, grown: 0, most: 1, known: MIB };
    const window = new Window(256 * KIB, growth);
    expect(window.begin()).toBe(0);
    expect([window.size, growth.grown]).toEqual([256 * KIB, 0]);
  });
});

test("a longer way is taken for one when its connection is new", () => {
  const near = { rate: GIGABIT, delayMs: 50, bytes: 128 * MIB, fastestMs: 1 };
  expect(transfer(near).size).toBe(256 * KIB);
  const { size } = transfer({ ...near, fastestMs: Infinity });
  expect(size).toBeGreaterThanOrEqual(16 * MIB);
});

type Step =
  | { readonly kind: "arrive"; readonly bytes: number }
  | { readonly kind: "take"; readonly bytes: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "open" }
  | { readonly kind: "close" };

const anyStep: fc.Arbitrary<Step & { readonly stream: number }> = fc.oneof(
  ...(["arrive", "take"] as const).map((kind) =>
    fc.record({
      kind: fc.constant(kind),
      bytes: fc.integer({ min: 1, max: 3_000_000 }),
      stream: fc.nat(2),
    })
  ),
  fc.record({
    kind: fc.constant("wait" as const),
    ms: fc.double({ min: 0, max: 500, noNaN: true }),
    stream: fc.nat(2),
  }),
  ...(["open", "close"] as const).map((kind) =>
    fc.record({ kind: fc.constant(kind), stream: fc.nat(2) })
  ),
);

test("whatever comes whenever: nothing is granted twice or lost, and the bounds hold", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_024, max: 4_000_000 }),
      fc.integer({ min: 0, max: 40_000_000 }),
      fc.array(anyStep, { maxLength: 200 }),
      (initial, room, steps) => {
        now = 0;
        const memory = new Memory("maxBufferedBytes", 64_000_000);
        const share = new Share(memory, 0, 0.5);
        const growth = new HeldGrowth(Infinity, room, share);
        const streams = [0, 1, 2].map(() => ({
          window: new Window(initial, growth),
          /** What the sender believes. */
          credit: initial,
          held: 0,
          taken: 0,
          open: true,
        }));
        for (const step of steps) {
          const stream = streams[step.stream];
          if (step.kind === "open" && !stream.open && stream.held === 0) {
            const window = new Window(initial, growth);
            Object.assign(stream, { window, open: true, taken: 0 });
            const was = growth.grown;
            const lent = bytesOf(window.begin());
            if (was > 0) expect(lent).toBe(0);
            expect(lent * 2).toBeLessThanOrEqual(growth.most);
            expect(lent).toBeLessThanOrEqual(growth.known);
            stream.credit = initial + lent;
          }
          const { window } = stream;
          if (step.kind === "open") continue;
          if (step.kind === "wait") now += step.ms;
          else if (step.kind === "close") {
            window.end(stream.held);
            stream.open = false;
          } else if (step.kind === "arrive") {
            const bytes = Math.min(step.bytes, stream.credit);
            const { held } = stream;
            stream.credit -= bytes;
            // What still comes behind its end is dropped.
            if (stream.open) stream.held += bytes;
            const more = window.arrived(bytes, held);
            if (!stream.open || held * 4 > window.size) expect(more).toBe(0);
            stream.credit += bytesOf(more);
          } else {
            const bytes = Math.min(step.bytes, stream.held);
            stream.held -= bytes;
            if (!stream.open) {
              window.end(stream.held);
              continue;
            }
            stream.taken += bytes;
            const credit = window.taken(bytes);
            stream.credit += credit;
            stream.taken -= credit;
          }
          expect(stream.credit).toBe(window.allowed);
          expect(stream.credit).toBeGreaterThanOrEqual(0);
          const { held, taken } = stream;
          if (stream.open) {
            expect(stream.credit + held + taken).toBe(window.size);
            // So that a sender without credit gets some once all is taken.
            expect(taken * 2 < Math.max(initial, window.size / 8)).toBe(true);
          } else expect(window.size).toBe(Math.max(initial, held));
          const grown = streams.reduce(
            (sum, { window }) => sum + window.size - initial,
            0,
          );
          expect(grown).toBeLessThanOrEqual(Math.min(room, 32_000_000));
          expect(memory.held).toBe(grown);
        }
        share.close();
        for (const { window } of streams) window.end(0);
        expect(memory.held).toBe(0);
      },
    ),
  );
});

describe("a stream whose window has grown", () => {
  const INITIAL = 256 * KIB;
  const GROWN = 3 * INITIAL;

  /** It has grown to a MiB, and all that has come is read. */
  async function grownStream() {
    const growth = { fastestMs: Infinity, grown: 0, most: GROWN, known: 0 };
    const frames: Frame[] = [];
    const sink: FrameSink = {
      raw: (frame) => frames.push(frame),
      control: () => {},
      schedule: () => {},
    };
    const stream = new ReceiveStream(sink, 1, 1, INITIAL, growth);
    const reader = stream.readable.getReader();
    let sent = 0;
    /** What may be sent yet. */
    const credit = () =>
      frames.filter(({ type }) => type === FrameType.CREDIT).reduce(
        (sum, { payload }) => {
          const view = new DataView(payload.buffer);
          return sum + (view.getUint32(0) & 0x7fff_ffff);
        },
        INITIAL - sent,
      );
    const send = (bytes: number) => {
      sent += bytes;
      stream.data(new Uint8Array(bytes));
    };
    const read = async (bytes: number) => {
      for (let left = bytes; left > 0;) {
        left -= (await reader.read()).value?.byteLength ?? NaN;
      }
    };
    while (growth.grown < GROWN) {
      now += 100;
      const bytes = Math.min(32 * KIB, credit());
      const reading = read(bytes);
      send(bytes);
      await reading;
    }
    return {
      growth,
      stream,
      reader,
      send,
      read,
      credit,
      end: () => stream.end(sent, false),
    };
  }

  test("keeps at its end what is not read, and no more", async () => {
    const { growth, end, send, read, reader } = await grownStream();
    for (let i = 0; i < 20; i++) send(32 * KIB);
    expect(growth.grown).toBe(GROWN);
    end();
    expect(growth.grown).toBe(640 * KIB - INITIAL);
    await read(32 * KIB);
    expect(growth.grown).toBe(608 * KIB - INITIAL);
    await read(576 * KIB);
    expect(growth.grown, "one piece is left").toBe(0);
    await read(32 * KIB);
    expect((await reader.read()).done).toBe(true);
    expect(growth.grown).toBe(0);
  });

  test("keeps nothing for one byte that nobody reads", async () => {
    const { growth, end, send } = await grownStream();
    send(1);
    end();
    expect(growth.grown).toBe(0);
  });

  test("keeps nothing when it is cancelled, before its end or behind it", async () => {
    for (const ends of [false, true]) {
      const { growth, end, send, reader } = await grownStream();
      for (let i = 0; i < 20; i++) send(32 * KIB);
      if (ends) end();
      await reader.cancel();
      expect(growth.grown).toBe(0);
    }
  });

  test("grants nothing, and takes no more, once it has failed here", async () => {
    const { growth, stream, send, read, credit } = await grownStream();
    // Some of it was given for what was read, so that it can show who waits for it.
    for (let i = 0; i < 16; i++) {
      const reading = read(32 * KIB);
      send(32 * KIB);
      await reading;
    }
    send(1);
    stream.fail(new LimpetError("broken_pipe", "The command has ended"));
    expect(growth.grown).toBe(0);
    const before = credit();
    growth.fastestMs = Infinity;
    now += 100;
    for (let left = before; left > 0; left -= 32 * KIB) {
      send(Math.min(left, 32 * KIB));
    }
    expect(credit()).toBe(0);
    expect(growth.grown).toBe(0);
  });
});

test("what one can do without leaves half of the memory to what one cannot", () => {
  const total = new Memory("maxTotalBufferedBytes", 1_000);
  const memory = new Memory("maxBufferedBytes", 800, total);
  const spare = new Share(memory, 0, 0.5);
  expect(spare.hold(400)).toBe(true);
  expect(spare.hold(401)).toBe(false);
  expect(spare.hold(100)).toBe(true);
  expect(total.take(401)).toBe(null);
  expect(spare.hold(101), "half of all is taken by others").toBe(false);
  expect(memory.take(499)).toBe(null);
  expect(spare.hold(100), "what it has it keeps").toBe(true);
  spare.close();
  expect(memory.held).toBe(499);
  expect(spare.hold(700), "and asks for nothing").toBe(true);
  expect(memory.held).toBe(499);
});
