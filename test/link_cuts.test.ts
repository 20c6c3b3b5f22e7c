import fc from "fast-check";
import { expect, test } from "vitest";
import { type Frame, FrameType, HEADER_BYTES } from "../core/frame/frame.ts";
import { turns } from "./support/fake_time.ts";
import { isOurs } from "./support/runtimes.ts";
import { type Cut, linked, logOf } from "./support/linked.ts";

const { DATA, END, OPEN, CREDIT } = FrameType;

let byte = 0;
const frame = (type: number, bytes: number): Frame => ({
  type,
  stream: 0,
  channel: 1,
  payload: Uint8Array.from({ length: bytes }, () => byte++),
});

/** What each end says: batches, with another turn of the event loop between. */
const FROM_A = [
  [frame(OPEN, 3), frame(DATA, 5)],
  [frame(DATA, 0), frame(CREDIT, 4)],
  [frame(DATA, 2), frame(END, 1)],
];
const FROM_B = [[frame(CREDIT, 4)], [frame(DATA, 7), frame(DATA, 1)], [
  frame(END, 2),
]];

const sizeOf = (batches: Frame[][]) =>
  batches.flat().reduce((sum, f) => sum + HEADER_BYTES + f.payload.length, 0);

/** Plays both scripts over connections that break there; all has to arrive. */
async function play(
  cuts: readonly Cut[],
  inWholeFrames?: boolean,
): Promise<number> {
  const { a, b, connections, close } = linked(cuts, {}, inWholeFrames);
  const say = async (end: typeof a, batches: Frame[][]) => {
    for (const batch of batches) await end.link.send(batch);
  };
  await Promise.all([say(a, FROM_A), say(b, FROM_B)]);
  const [toA, toB] = [logOf(FROM_B.flat()), logOf(FROM_A.flat())];
  for (let turn = 0; turn < 1_000; turn++) {
    if (a.log.length >= toA.length && b.log.length >= toB.length) break;
    await turns(1);
  }
  // What came twice would come now.
  await turns(3);
  expect([a.log, b.log], JSON.stringify(cuts)).toEqual([toA, toB]);
  expect([a.ended, b.ended]).toEqual([undefined, undefined]);
  close();
  return connections();
}

/** Every place where a connection can break before all is said. */
const EVERYWHERE: Cut[] = [
  ...Array.from({ length: sizeOf(FROM_A) }, (_, bytes) => bytes)
    .map((bytes) => ({ from: "a" as const, bytes })),
  ...Array.from({ length: sizeOf(FROM_B) }, (_, bytes) => bytes)
    .map((bytes) => ({ from: "b" as const, bytes })),
];

const READ: Cut[] = EVERYWHERE.map((cut) => ({ ...cut, read: true }));

test("a connection that breaks after any byte, either way, loses nothing", async () => {
  let broken = 0;
  for (const cut of [...EVERYWHERE, ...READ]) {
    if (await play([cut]) > 1) broken++;
    if (await play([cut], true) > 1) broken++;
  }
  expect(broken).toBe(4 * EVERYWHERE.length);
});

test("nor do two, at any place of the second", async () => {
  let twice = 0, tried = 0;
  for (const [i, first] of EVERYWHERE.entries()) {
    if (i % 7 > 0 || !isOurs(i / 7)) continue;
    for (const second of EVERYWHERE) {
      if (await play([first, second]) > 2) twice++;
      tried++;
    }
  }
  // The others lie behind what the first has left to send.
  expect(twice).toBeGreaterThan(tried / 2);
});

test("nor does a dozen in a row, anywhere", async () => {
  const cuts = fc.array(fc.constantFrom(...EVERYWHERE, ...READ), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(cuts, async (each) => {
      expect(await play(each)).toBeGreaterThan(0);
      expect(await play(each, true)).toBeGreaterThan(0);
    }),
    { numRuns: 200 },
  );
});

test.each(["a", "b"] as const)(
  "a frame from %s that no connection lasts for comes in pieces",
  async (from) => {
    const large = frame(DATA, 60_000);
    const cuts = Array(100).fill({ from, bytes: 1_000, read: true });
    const { connections, close, ...ends } = linked(cuts);
    ends[from].link.send([large]).catch(() => {});
    const other = ends[from === "a" ? "b" : "a"];
    const log = logOf([large]);
    for (let turn = 0; turn < 1_000 && other.log !== log; turn++) {
      await turns(1);
    }
    expect(other.log).toBe(log);
    // Each has its header.
    expect(connections()).toBe(Math.ceil(60_000 / (1_000 - HEADER_BYTES)));
    close();
  },
);
