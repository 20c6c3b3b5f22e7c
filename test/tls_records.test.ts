import { once } from "node:events";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readableOf } from "../adapters/node/streams.ts";
import { Records } from "../adapters/tls/records.ts";
import { concat } from "../core/bytes.ts";
import { LimpetError } from "../core/errors.ts";

const FULL = 16_384;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function recorded() {
  const pieces: Uint8Array[] = [];
  const records = new Records();
  records.deliverTo((bytes) => pieces.push(bytes));
  return { records, pieces, lengths: () => pieces.map((p) => p.byteLength) };
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

test("a record that is not full waits for nothing, and takes along what did", () => {
  const { records, lengths } = recorded();
  records.push(filled(10, 1));
  expect(lengths()).toEqual([10]);
  records.push(filled(FULL, 2));
  expect(lengths()).toEqual([10]);
  records.push(filled(1, 3));
  expect(lengths()).toEqual([10, FULL + 1]);
});

test("full records of one turn are one piece, of 64 KiB at most", async () => {
  const { records, lengths } = recorded();
  for (let i = 0; i < 6; i++) records.push(filled(FULL, i));
  expect(lengths()).toEqual([4 * FULL]);
  await turn();
  expect(lengths()).toEqual([4 * FULL, 2 * FULL]);
  records.push(filled(FULL, 9));
  await turn();
  expect(lengths()).toEqual([4 * FULL, 2 * FULL, FULL]);
});

test("whatever the sizes and turns, the bytes are the same in their order", async () => {
  const lengths = fc.array(
    fc.oneof(fc.constant(FULL), fc.integer({ min: 1, max: FULL + 1 })),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(lengths, { maxLength: 4 }), async (turns) => {
      const { records, pieces } = recorded();
      let count = 0;
      const sent: Uint8Array[] = [];
      for (const turnOf of turns) {
        for (const length of turnOf) {
          const record = filled(length, ++count);
          sent.push(record);
          records.push(record);
        }
        await turn();
      }
      expect(concat(pieces)).toEqual(concat(sent));
      expect(Math.max(0, ...pieces.map((piece) => piece.byteLength)))
        .toBeLessThanOrEqual(4 * FULL + 1);
    }),
    { numRuns: 50 },
  );
});

function gathered() {
  const source = new PassThrough({ highWaterMark: 1_000_000 });
  const stream = readableOf(
    source,
    () => new LimpetError("connection_lost", "Lost"),
    () => source.destroy(),
    { gathering: new Records() },
  );
  return { source, reader: stream.getReader() };
}

test("what is held comes before the end", async () => {
  const { source, reader } = gathered();
  const reads = [reader.read(), reader.read(), reader.read()];
  source.write(filled(FULL, 1));
  source.end(filled(FULL, 2));
  await reads[0];
  const all = await Promise.all(reads);
  const bytes = all.flatMap(({ value }) => value ?? []);
  expect(concat(bytes)).toEqual(concat([filled(FULL, 1), filled(FULL, 2)]));
  expect(all.at(-1)!.done).toBe(true);
});

test("what is held comes before an error", async () => {
  const { source, reader } = gathered();
  const first = reader.read();
  source.once("data", () => source.destroy(new Error("reset")));
  source.write(filled(FULL, 1));
  expect((await first).value).toEqual(filled(FULL, 1));
  await expect(reader.read()).rejects.toMatchObject({
    code: "connection_lost",
  });
});

test("what is held when nobody wants more goes nowhere", async () => {
  const { source, reader } = gathered();
  const first = reader.read();
  source.once("data", () => void reader.cancel());
  source.write(filled(FULL, 1));
  expect(await first).toEqual({ done: true, value: undefined });
  await turn();
  expect(source.destroyed).toBe(true);
});

test("what came before anybody took it comes first", () => {
  const records = new Records();
  const { callback } = records.landing().onread;
  const landing = records.landing().onread.buffer as Uint8Array;
  for (const value of [1, 2]) {
    landing.fill(value);
    // A copy is taken: the next one lands in the same place.
    expect(callback(10, landing)).toBe(true);
  }
  const pieces: Uint8Array[] = [];
  records.deliverTo((bytes) => pieces.push(bytes));
  records.push(filled(10, 3));
  expect(concat(pieces)).toEqual(
    concat([filled(10, 1), filled(10, 2), filled(10, 3)]),
  );
});

test("who keeps a piece keeps no more than twice as much memory", async () => {
  const { records, pieces } = recorded();
  for (const fulls of [1, 2, 3, 4]) {
    for (let i = 0; i < fulls; i++) records.push(filled(FULL, i));
    records.push(filled(7, 9));
    await turn();
  }
  const kept = pieces.map(({ byteLength, buffer }) =>
    buffer.byteLength / byteLength
  );
  expect(Math.max(...kept)).toBeLessThanOrEqual(2);
});

test("a stream that has ended already is one that ends", async () => {
  const source = new PassThrough();
  source.resume().end();
  await once(source, "end");
  const stream = readableOf(
    source,
    () => new LimpetError("connection_lost", "Lost"),
    () => source.destroy(),
  );
  expect(await stream.getReader().read()).toEqual({
    done: true,
    value: undefined,
  });
});
