/**
 * Real processes, and between them a proxy that cuts. Here a few cuts; as many as
 * you like, with all pairs of runtimes:
 *
 *     LIMPET_CUTS=1000 npm test -- --only node test/cuts.test.ts
 *
 * `LIMPET_CUTS_SEED` takes a seed, `LIMPET_CUTS_PAIRS` some of the pairs
 * (`node-deno,bun-bun`: client, server).
 */

import { describe, expect, test } from "vitest";
import { Prng } from "./fuzz/prng.ts";
import { broken, BY_HAND, PAIRS, PATIENCE_MS, SEED } from "./support/cuts.ts";
import { eventually } from "./support/leaks.ts";
import { type Break, type Proxy, proxyTo } from "./support/proxy.ts";
import type { Runtime } from "./support/runtimes.ts";
import { Traffic } from "./support/traffic.ts";

const CUTS = Number(BY_HAND ?? 12);

/** A stall costs the time in which it is noticed. */
const WAYS: readonly Break[] = [
  ...["reset", "reset", "reset", "reset"] as const,
  ...["close", "close", "close", "close"] as const,
  "stall",
];

interface Cutting {
  readonly cuts: number;
  /** Most bytes that pass between two cuts. */
  readonly spacing: number;
  /** As `Setting.bytes`. */
  readonly bytes?: number;
}

/** A session with that many cuts in it; what passed, once and again. */
async function cutUp(
  pair: readonly [Runtime, Runtime],
  { cuts, spacing, bytes }: Cutting,
): Promise<Traffic> {
  const rng = new Prng(SEED);
  const traffic = new Traffic();
  let proxy: Proxy | undefined;
  await using _ = {
    [Symbol.asyncDispose]: async () => await proxy?.[Symbol.asyncDispose](),
  };
  let cut = 0;
  const through = async (address: string) => {
    proxy = await proxyTo(Number(new URL(address).port), () => traffic.tap());
    return `tcp://127.0.0.1:${proxy.port}`;
  };
  const figures = await broken(pair, { bytes, through }, async (client) => {
    for (; cut < cuts && !client.done(); cut++) {
      // Now and then within the handshake of whoever comes back.
      const most = rng.oneIn(3) ? 3_000 : spacing;
      const next = proxy!.bytes + rng.below(most);
      await eventually(
        () => proxy!.bytes >= next || client.done(),
        () => `${proxy!.bytes} bytes went through, ${next} will have`,
      );
      proxy!.cut(rng.pick(WAYS));
    }
  });
  const { started, absences, before, after, seconds } = figures;
  console.log(
    [
      `${pair.join(" to ")}: seed ${SEED}`,
      `${cut} cuts`,
      `${traffic.resumes} resumes`,
      `${started} commands`,
      `${traffic.bytes} bytes, ${traffic.again} of them again`,
      `away for ${Math.max(0, ...absences)} ms at most`,
      `the server's descriptors ${before} before, ${after} after`,
      `${seconds.toFixed(1)} s`,
    ].join(", "),
  );
  // One of 100 MiB may be over before the last one.
  expect(cut).toBeGreaterThan(bytes === undefined ? cuts - 1 : cuts / 2);
  expect(traffic.again).toBeGreaterThan(0);
  return traffic;
}

describe.each(PAIRS)("a client on %s, a server on %s", (...pair) => {
  test(
    "a script of commands, cut at random: each runs once, whole",
    async () => {
      await cutUp(pair, { cuts: CUTS, spacing: 200_000 });
    },
    PATIENCE_MS,
  );

  if (BY_HAND === undefined) return;

  // In the suite: `resume_cuts`, with less, and both ends in one process.
  test("100 MiB each way with cuts at random", async () => {
    const bytes = 100 * 1_048_576;
    const traffic = await cutUp(pair, {
      cuts: 20,
      spacing: 2 * bytes / 10,
      bytes,
    });
    expect(traffic.bytes).toBeGreaterThan(2 * bytes);
  }, PATIENCE_MS);
});
