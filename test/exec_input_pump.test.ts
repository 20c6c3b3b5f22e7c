import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FrameSink } from "../core/channel/frame_sink.ts";
import { ReceiveStream } from "../core/channel/receive_stream.ts";
import { LimpetError } from "../core/errors.ts";
import { pumpInput } from "../core/exec/input_pump.ts";
import { concat } from "./support/bytes.ts";
import { turns } from "./support/fake_time.ts";

const WINDOW = 1_048_576;

/** What the pump does with its stream before it waits takes fewer than that. */
const TURNS = 50;

const forever = new Promise<void>(() => {});

/** A stream that is fed by hand. */
function receiving(): ReceiveStream {
  const sink: FrameSink = {
    raw: () => {},
    control: () => {},
    schedule: () => {},
  };
  return new ReceiveStream(sink, 1, 0, WINDOW);
}

/** A process's stdin whose writes end when they are told to. */
function program() {
  const writes: { bytes: Uint8Array; before: Uint8Array }[] = [];
  const state = { isClosed: false, writes };
  let settle: { resolve(): void; reject(error: unknown): void } | undefined;
  const stdin = new WritableStream<Uint8Array>({
    write: (bytes) => {
      writes.push({ bytes, before: bytes.slice() });
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
      });
    },
    close: () => {
      state.isClosed = true;
    },
  });
  /** Ends the write under way, whose bytes must be what they were. */
  const take = () => {
    const { bytes, before } = writes.at(-1)!;
    expect(bytes).toEqual(before);
    settle!.resolve();
  };
  return {
    state,
    stdin,
    take,
    fail: () => settle!.reject(new LimpetError("broken_pipe", "Gone")),
    written: () => writes.map(({ before }) => before),
  };
}

/** Pieces of those lengths, of bytes that tell where they belong. */
function pieces(lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  return lengths.map((length) => Uint8Array.from({ length }, () => at++ * 7));
}

describe("what a process is given", () => {
  test("is one write for all that is there", async () => {
    const stream = receiving();
    const { stdin, take, written } = program();
    const all = pieces([65_516, 10, 65_500]);
    const told: number[] = [];
    pumpInput(stream, stdin, forever, (bytes) => told.push(bytes));
    await turns(TURNS);
    for (const piece of all) stream.data(piece);
    await turns(TURNS);
    expect(written()).toEqual([concat(all)]);
    expect(told).toEqual([]);
    take();
    await turns(TURNS);
    expect(told).toEqual([131_026]);
  });

  test("goes on with what there was no room for", async () => {
    const stream = receiving();
    const { state, stdin, take, written } = program();
    const all = pieces([100_000, 60_000, 20, 200_000, 30]);
    for (const piece of all) stream.data(piece);
    stream.end(360_050, false);
    const done = pumpInput(stream, stdin, forever);
    while (!state.isClosed) {
      await turns(TURNS);
      if (state.isClosed) break;
      take();
    }
    await done;
    expect(written().map(({ byteLength }) => byteLength))
      .toEqual([100_000, 60_020, 200_000, 30]);
    expect(concat(written())).toEqual(concat(all));
  });

  test("is what came, in its order, whenever it came, and never changes under a write", async () => {
    const step = fc.oneof(
      fc.record({ length: fc.nat({ max: 70_000 }) }),
      fc.constant("take" as const),
      fc.constant("turn" as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const stream = receiving();
        const { state, stdin, take, written } = program();
        const lengths = steps.flatMap((each) =>
          typeof each === "object" ? [each.length] : []
        );
        const all = pieces(lengths);
        const done = pumpInput(stream, stdin, forever);
        let given = 0;
        let taken = 0;
        const takeOne = () => {
          if (state.writes.length === taken) return;
          taken++;
          take();
        };
        for (const each of steps) {
          if (each === "take") takeOne();
          else if (each === "turn") await turns(TURNS);
          else stream.data(all[given++]);
        }
        const bytes = lengths.reduce((sum, length) => sum + length, 0);
        stream.end(bytes, false);
        while (!state.isClosed) {
          await turns(TURNS);
          takeOne();
        }
        await done;
        expect(concat(written())).toEqual(concat(all));
      }),
      { numRuns: 60 },
    );
  });

  test("is all that came before a cut, and its stdin stays open", async () => {
    const stream = receiving();
    const { state, stdin, take, written } = program();
    const all = pieces([5, 6]);
    const done = pumpInput(stream, stdin, forever);
    await turns(TURNS);
    for (const piece of all) stream.data(piece);
    stream.fail(new LimpetError("connection_lost", "Cut"));
    await turns(TURNS);
    take();
    await done;
    expect(concat(written())).toEqual(concat(all));
    expect(state.isClosed).toBe(false);
  });

  test("ends with a write that fails, and the sender is told to stop", async () => {
    const stream = receiving();
    const { stdin, fail, written } = program();
    let told = 0;
    const done = pumpInput(stream, stdin, forever, () => told++);
    for (const piece of pieces([5, 6])) stream.data(piece);
    await turns(TURNS);
    fail();
    await done;
    // Stopped: what still comes is not kept.
    stream.data(new Uint8Array(7));
    expect([written().length, told, stream.buffered]).toEqual([1, 0, 0]);
  });
});
