import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteQueue } from "../core/channel/byte_queue.ts";
import { join } from "./support/frames.ts";

/** One piece, a view of a chunk of its own, filled with a value. */
const anyPiece = fc.record({
  length: fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 70_000 }),
    fc.constantFrom(4_095, 4_096, 16_384, 16_385, 65_536),
  ),
  slack: fc.constantFrom(0, 1, 4_096, 65_536),
  value: fc.integer({ min: 0, max: 255 }),
});

function pieceOf(
  { length, slack, value }: { length: number; slack: number; value: number },
): Uint8Array {
  const chunk = new Uint8Array(length + slack);
  const piece = chunk.subarray(slack >> 1, (slack >> 1) + length);
  for (let i = 0; i < length; i++) piece[i] = value + i;
  return piece;
}

/** Everything that is in the queue now. */
function drain(queue: ByteQueue): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let piece: Uint8Array | undefined;
  while ((piece = queue.shift()) !== undefined) pieces.push(piece);
  return pieces;
}

/** Bytes of all buffers that these pieces keep alive. */
function held(pieces: readonly Uint8Array[]): number {
  const buffers = new Set(pieces.map(({ buffer }) => buffer));
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

test("the bytes that come out are those that went in, in their order", () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: anyPiece },
      { weight: 2, arbitrary: fc.constant(null) },
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      const queue = new ByteQueue();
      const put: Uint8Array[] = [];
      const got: Uint8Array[] = [];
      let inside = 0;
      for (const step of script) {
        if (step !== null) {
          const piece = pieceOf(step);
          put.push(piece.slice());
          queue.push(piece);
          inside += piece.byteLength;
        } else {
          const piece = queue.shift();
          expect(piece === undefined).toBe(inside === 0);
          if (piece !== undefined) got.push(piece);
          inside -= piece?.byteLength ?? 0;
        }
        expect(queue.byteLength).toBe(inside);
      }
      const all = join([...got, ...drain(queue)]);
      expect(compare(all, join(put))).toBe(0);
      expect(queue.byteLength).toBe(0);
    }),
    { numRuns: 200 },
  );
});

/** Faster than `toEqual` for megabytes. */
function compare(a: Uint8Array, b: Uint8Array): number {
  if (a.byteLength !== b.byteLength) return a.byteLength - b.byteLength;
  return a.findIndex((byte, i) => byte !== b[i]) + 1;
}

test("memory is in proportion to the bytes, whatever the pieces are cut from", () => {
  fc.assert(
    fc.property(fc.array(anyPiece, { maxLength: 60 }), (script) => {
      const queue = new ByteQueue();
      for (const step of script) queue.push(pieceOf(step));
      const bytes = queue.byteLength;
      // A large piece is at most doubled; a small one costs a block at worst.
      const small = script.filter(({ length }) => length < 4_096).length;
      expect(held(drain(queue))).toBeLessThanOrEqual(
        2 * bytes + 16_384 * small,
      );
    }),
    { numRuns: 200 },
  );
});

test("one-byte pieces do not keep the chunks alive that they came in", () => {
  const queue = new ByteQueue();
  const count = 5_000;
  for (let i = 0; i < count; i++) {
    queue.push(new Uint8Array(65_536).subarray(100, 101));
  }
  expect(queue.byteLength).toBe(count);
  const pieces = drain(queue);
  expect(held(pieces)).toBeLessThanOrEqual(count + 16_384);
  // Each array is an object of its own, of a hundred bytes and more: besides full
  // blocks there are those that were made while little waited.
  expect(pieces.length).toBeLessThanOrEqual(6 + count / 16_384);
});

test("small pieces between large ones cost no more than the bound says", () => {
  const queue = new ByteQueue();
  for (let i = 0; i < 100; i++) {
    queue.push(new Uint8Array(4_096));
    queue.push(new Uint8Array(65_536).subarray(0, 1));
  }
  expect(held(drain(queue))).toBeLessThanOrEqual(100 * (4_096 + 16_384));
});

test("a large piece that fills its buffer is not copied", () => {
  const queue = new ByteQueue();
  const chunk = new Uint8Array(65_536);
  queue.push(chunk.subarray(0, 40_000));
  expect(queue.shift()?.buffer).toBe(chunk.buffer);
  queue.push(chunk.subarray(0, 30_000));
  expect(queue.shift()?.buffer).not.toBe(chunk.buffer);
});

test("what was given out is never written to again", () => {
  const queue = new ByteQueue();
  queue.push(Uint8Array.of(1, 2));
  const first = queue.shift();
  queue.push(Uint8Array.of(3));
  queue.push(Uint8Array.of(4));
  expect(first).toEqual(Uint8Array.of(1, 2));
  expect(join(drain(queue))).toEqual(Uint8Array.of(3, 4));
});

test("a long queue is emptied in linear time", () => {
  const queue = new ByteQueue();
  const piece = new Uint8Array(4_096);
  const count = 100_000;
  for (let i = 0; i < count; i++) queue.push(piece);
  // Quadratic, this would be 10^10 steps and run into the test's time limit.
  expect(drain(queue)).toHaveLength(count);
});

test("clear drops everything, and the queue goes on", () => {
  const queue = new ByteQueue();
  queue.push(Uint8Array.of(1));
  queue.push(new Uint8Array(5_000));
  queue.clear();
  expect(queue.byteLength).toBe(0);
  expect(queue.shift()).toBeUndefined();
  queue.push(Uint8Array.of(2));
  expect(queue.shift()).toEqual(Uint8Array.of(2));
});

test("for a reader that is a piece behind, small pieces take little memory", () => {
  const { Uint8Array: Real } = globalThis;
  const queue = new ByteQueue();
  let allocated = 0;
  globalThis.Uint8Array = class extends Real {
    constructor(...args: [number]) {
      super(...args);
      if (typeof args[0] === "number") allocated += args[0];
    }
  } as unknown as typeof Uint8Array;
  try {
    for (let i = 0; i < 1_000; i++) {
      queue.push(Real.of(i));
      queue.push(Real.of(i));
      expect([...queue.shift()!]).toEqual([i % 256, i % 256]);
    }
  } finally {
    globalThis.Uint8Array = Real;
  }
  expect(allocated).toBeLessThan(20_000);
});
