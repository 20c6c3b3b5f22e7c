import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type Attempting,
  type Outcome,
  overlapping,
} from "../core/link/attempts.ts";
import { pass, settle, useFakeTime } from "./support/fake_time.ts";

useFakeTime();

/** An attempt that the test plays. */
interface Played {
  /** When it began, in ms from the first. */
  readonly at: number;
  readonly own: AbortController;
  readonly alone: () => boolean;
  readonly succeed: () => void;
  readonly fail: (error: unknown) => void;
}

let since: number;
let stop: AbortController;
beforeEach(() => {
  since = performance.now();
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  expect(vi.getTimerCount()).toBe(0);
});

/** Begins; the second attempt comes 100 ms after the first has failed, and so on. */
function attempting(options: Partial<Attempting> = {}) {
  const played: Played[] = [];
  let outcome: Outcome | null = null;
  overlapping({
    attempt: (own, alone) =>
      new Promise<void>((succeed, fail) => {
        const at = performance.now() - since;
        played.push({ at, own, alone, succeed, fail });
      }),
    pauseMs: (attempt) => (attempt - 1) * 100,
    patienceMs: 1_000,
    mostPatienceMs: 10_000,
    mayGoOn: (error) => error !== "final",
    ...options,
  }, stop.signal).then((value) => {
    outcome = value;
  });
  return {
    played,
    outcome: () => outcome,
    begun: () => played.map(({ at }) => at),
    givenUp: () => played.map(({ own }) => own.signal.aborted),
  };
}

describe("an attempt of which nothing is heard", () => {
  test("goes on, and others begin beside it, three at once and no more", async () => {
    const all = attempting();
    expect(all.begun()).toEqual([0]);
    await pass(999, 111);
    expect(all.begun()).toEqual([0]);
    await pass(59_001);
    expect(all.begun()).toEqual([0, 1_000, 2_000]);
    expect(all.givenUp()).toEqual([false, false, false]);
    all.played[0].fail("its time is over");
    await settle();
    expect(all.begun()).toEqual([0, 1_000, 2_000, 60_000]);
  });

  test("may still be the one that succeeds: the others are given up", async () => {
    const all = attempting();
    await pass(2_000);
    all.played[0].succeed();
    await settle();
    expect(all.outcome()).toMatchObject({ attempts: 3, succeeded: 1 });
    expect(all.givenUp()).toEqual([false, true, true]);
    // What they come to now is nobody's concern.
    all.played[1].succeed();
    all.played[2].fail("final");
    await pass(60_000, 20_000);
    expect(all.begun()).toHaveLength(3);
  });

  test("is no reason for another once it is stopped", async () => {
    const all = attempting();
    await pass(1_000);
    stop.abort("enough");
    await settle();
    expect(all.outcome()).toMatchObject({ succeeded: null, error: "enough" });
    expect(all.givenUp()).toEqual([true, true]);
    await pass(60_000, 20_000);
    expect(all.begun()).toHaveLength(2);
  });
});

describe("an attempt that fails", () => {
  test("is followed by the next after a pause", async () => {
    const all = attempting();
    all.played[0].fail("refused");
    await settle();
    await pass(100, 50);
    all.played[1].fail("refused");
    await settle();
    await pass(199, 199);
    expect(all.begun()).toEqual([0, 100]);
    await pass(1);
    expect(all.begun()).toEqual([0, 100, 300]);
  });

  test("hastens nothing if a newer one is under way, and is final for all", async () => {
    const all = attempting();
    await pass(1_000);
    all.played[0].fail("refused");
    await pass(999, 999);
    expect(all.begun()).toEqual([0, 1_000]);
    await pass(1);
    expect(all.begun()).toEqual([0, 1_000, 2_000]);
    all.played[1].fail("final");
    await settle();
    expect(all.outcome()).toEqual({
      attempts: 3,
      succeeded: null,
      error: "final",
    });
    expect(all.givenUp()).toEqual([false, false, true]);
  });
});

describe("what one alone may do", () => {
  test("gives all others up at once, and none of them can do it any more", async () => {
    const all = attempting();
    await pass(2_000);
    expect(all.played[1].alone()).toBe(true);
    expect(all.givenUp()).toEqual([true, false, true]);
    expect(all.played.map(({ alone }) => alone())).toEqual([
      false,
      true,
      false,
    ]);
    all.played[0].succeed();
    all.played[2].fail("final");
    await settle();
    expect(all.outcome()).toBeNull();
    all.played[1].succeed();
    await settle();
    expect(all.outcome()).toMatchObject({ succeeded: 2 });
  });

  test("is given twice the time by each that comes after it", async () => {
    const all = attempting();
    for (let attempt = 0; attempt < 6; attempt++) {
      expect(all.played[attempt].alone()).toBe(true);
      while (all.played.length < attempt + 2) await pass(500);
    }
    expect(all.begun())
      .toEqual([0, 1_000, 3_000, 7_000, 15_000, 25_000, 35_000]);
    expect(all.givenUp().slice(0, -2)).not.toContain(false);
  });

  test("is waited for in the end, however long its answer takes, and nobody takes it away from whoever succeeds", async () => {
    const line = fc.record({
      helloMs: fc.nat(3_000),
      answerMs: fc.nat(9_000),
      fails: fc.boolean(),
    });
    const lines = fc.array(line, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(lines, async (lines) => {
        const claims: number[] = [];
        let begun = 0;
        let most = 0;
        const underWay = new Set<number>();
        const after = (ms: number) =>
          new Promise<void>((resolve) => setTimeout(resolve, ms));
        const search = overlapping({
          attempt: async (own, alone) => {
            const number = ++begun;
            // A line that never fails comes in the end.
            const { helloMs, answerMs, fails } = lines[number - 1] ??
              { helloMs: 50, answerMs: 9_000, fails: false };
            underWay.add(number);
            own.signal.addEventListener("abort", () => underWay.delete(number));
            most = Math.max(most, underWay.size);
            try {
              await after(helloMs);
              if (fails) throw new Error("Cut");
              if (!alone()) return;
              claims.push(number);
              await after(answerMs);
              if (!alone()) return;
            } finally {
              underWay.delete(number);
            }
          },
          pauseMs: () => 10,
          patienceMs: 1_000,
          mostPatienceMs: 10_000,
          mayGoOn: () => true,
        }, stop.signal);
        let outcome: Outcome | null = null;
        search.then((value) => outcome = value);
        for (let ms = 0; outcome === null && ms < 300_000; ms += 250) {
          vi.advanceTimersByTime(250);
          for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        }
        // The server gives it to the last claim: nobody else believes in it.
        expect(outcome).toMatchObject({ succeeded: claims.at(-1) });
        expect(most).toBeLessThanOrEqual(3);
        vi.clearAllTimers();
      }),
      { numRuns: 60 },
    );
  });
});
