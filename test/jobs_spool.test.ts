import fc from "fast-check";
import { readdirSync, rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { maxLateBytes, Spool, type SpoolOptions } from "../core/jobs/spool.ts";
import { SpoolRoom } from "../core/jobs/spool_room.ts";
import { SpoolWriter } from "../core/jobs/spool_writer.ts";
import { jobFiles, temporaryFolder } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";

useLeakCheck();

/** The byte that belongs at an offset: no two neighbours of a segment agree. */
function byteAt(offset: number): number {
  return (offset * 7 + (offset >> 8)) & 0xff;
}

function bytesFrom(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => byteAt(offset + i));
}

function spoolIn(
  folder: string,
  options: Partial<SpoolOptions> = {},
): Spool {
  return new Spool({
    files: jobFiles,
    folder,
    name: "stdout",
    maxBytes: 80,
    whenFull: "drop",
    room: new SpoolRoom(Infinity),
    ...options,
  });
}

interface Read {
  /** Offset of each byte that came. */
  readonly offsets: number[];
  readonly dropped: { from: number; to: number }[];
}

/** All there is from an offset on, in pieces; fails for a byte that is wrong. */
async function readFrom(
  spool: Spool,
  offset: number,
  length: number,
): Promise<Read> {
  const offsets: number[] = [];
  const dropped: { from: number; to: number }[] = [];
  for (let at = offset;;) {
    const piece = await spool.read(at, length);
    if (piece === null) return { offsets, dropped };
    if ("resumesAt" in piece) {
      dropped.push({ from: at, to: piece.resumesAt });
      at = piece.resumesAt;
      continue;
    }
    expect(piece.bytes.byteLength).toBeLessThanOrEqual(length);
    expect(piece.bytes).toEqual(bytesFrom(at, piece.bytes.byteLength));
    for (const _ of piece.bytes) offsets.push(at++);
  }
}

describe("a spool that drops", () => {
  test("keeps head and tail of whatever comes, at their offsets", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 25 }),
        fc.integer({ min: 8, max: 200 }),
        fc.integer({ min: 1, max: 50 }),
        async (sizes, maxBytes, length) => {
          using folder = temporaryFolder();
          const room = new SpoolRoom(Infinity);
          const spool = spoolIn(folder.path, { maxBytes, room });
          let total = 0;
          for (const size of sizes) {
            await spool.append(bytesFrom(total, size));
            total += size;
            expect(spool.total).toBe(total);
            expect(spool.heldBytes).toBeLessThanOrEqual(maxBytes);
            expect(room.held).toBe(spool.heldBytes);
          }
          await spool.end();
          const segment = Math.floor(maxBytes / 8);
          const whole = Array.from({ length: total }, (_, i) => i);
          // The model: all of it, or four segments of its beginning and at least
          // three of its end, with one range between them.
          const { offsets, dropped } = await readFrom(spool, 0, length);
          const kept = new Set(offsets);
          if (total <= segment * 8) expect(offsets).toEqual(whole);
          else {
            const isKept = (at: number) =>
              at < segment * 4 || at >= total - segment * 3;
            expect(whole.filter(isKept).every((at) => kept.has(at))).toBe(true);
            expect(dropped).toHaveLength(1);
          }
          expect(spool.dropped).toEqual(dropped);
          // From every other offset the same, cut there.
          for (let from = 1; from <= total; from += 1 + (total >> 4)) {
            const rest = await readFrom(spool, from, length);
            expect(rest.offsets).toEqual(offsets.filter((at) => at >= from));
          }
          expect(await spool.read(total, length)).toBe(null);
          // And so it is found by a server that comes later.
          const entries = await jobFiles.list(folder.path);
          for (const known of [total, null]) {
            const again = Spool.restore(
              {
                files: jobFiles,
                folder: folder.path,
                name: "stdout",
                maxBytes,
                whenFull: "drop",
                room: new SpoolRoom(Infinity),
              },
              entries,
              known,
            );
            expect((await readFrom(again, 0, length)).offsets).toEqual(offsets);
            expect(again.total).toBe(total);
          }
          await spool.remove();
          expect(room.held).toBe(0);
          expect(readdirSync(folder.path)).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("at its bound drops nothing, and one byte past it the least it can", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path);
    await spool.append(bytesFrom(0, 80));
    expect(spool.dropped).toEqual([]);
    await spool.append(bytesFrom(80, 1));
    expect(spool.dropped).toEqual([{ from: 40, to: 50 }]);
    await spool.end();
  });

  test("stays within its bound when its command has ended, too", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path);
    spool.unbound();
    await spool.append(bytesFrom(0, 500));
    expect(spool.heldBytes).toBeLessThanOrEqual(80);
    await spool.end();
  });

  test("whose files somebody removes tells what is missing", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path);
    await spool.append(bytesFrom(0, 45));
    await spool.end();
    rmSync(`${folder.path}/stdout.10`);
    const { offsets, dropped } = await readFrom(spool, 0, 100);
    expect(dropped).toEqual([{ from: 10, to: 20 }]);
    expect(offsets).toHaveLength(35);
  });

  test("without any room tells that all is dropped, and why", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path, { room: new SpoolRoom(0) });
    await spool.append(bytesFrom(0, 30));
    await spool.end();
    expect(await readFrom(spool, 0, 10)).toEqual({
      offsets: [],
      dropped: [{ from: 0, to: 30 }],
    });
    expect(spool.problem).toMatch(/maxTotalSpoolBytes/);
    expect(readdirSync(folder.path)).toEqual([]);
  });
});

describe("a spool that waits", () => {
  test("loses nothing, and goes on as far as somebody has taken", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path, { whenFull: "wait" });
    let appended = 0;
    const writing = (async () => {
      for (; appended < 300; appended += 3) {
        await spool.append(bytesFrom(appended, 3));
      }
      await spool.end();
    })();
    const seen: number[] = [];
    for (let at = 0; at < 300;) {
      const changed = spool.changed();
      const piece = await spool.read(at, 7);
      if (piece === null) {
        await changed;
        continue;
      }
      if (!("bytes" in piece)) throw new Error(`dropped from ${at}`);
      expect(piece.bytes).toEqual(bytesFrom(at, piece.bytes.byteLength));
      at += piece.bytes.byteLength;
      seen.push(at);
      expect(spool.heldBytes).toBeLessThanOrEqual(80);
      spool.taken(at);
    }
    await writing;
    expect(seen.at(-1)).toBe(300);
  });

  test("stands still at its bound until then", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path, { whenFull: "wait" });
    let done = false;
    const writing = spool.append(bytesFrom(0, 81)).then(() => done = true);
    while (spool.total < 80) await spool.changed();
    // Not in any turn of the event loop; what it waits for is somebody else.
    for (let i = 0; i < 20; i++) await new Promise((r) => setTimeout(r, 0));
    expect([done, spool.total]).toEqual([false, 80]);
    spool.taken(9);
    for (let i = 0; i < 20; i++) await new Promise((r) => setTimeout(r, 0));
    expect(done).toBe(false);
    spool.taken(10);
    await writing;
    expect(spool.total).toBe(81);
    expect(spool.dropped).toEqual([{ from: 0, to: 10 }]);
    await spool.end();
  });

  test("takes what is left of a command that has ended, whoever reads", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path, { whenFull: "wait" });
    const writer = new SpoolWriter(spool);
    writer.push(bytesFrom(0, 200));
    while (spool.total < 80) await spool.changed();
    const finished = new Promise<void>((resolve) =>
      writer.onFinished = resolve
    );
    spool.unbound();
    writer.end();
    await finished;
    expect((await readFrom(spool, 0, 100)).offsets).toHaveLength(200);
    expect(writer.outcome).toEqual({ heldOpen: false });
  });

  test("keeps little more of others who write when its command has ended", async () => {
    using folder = temporaryFolder();
    const room = new SpoolRoom(200_000);
    const maxBytes = 80_000;
    const spool = spoolIn(folder.path, { whenFull: "wait", maxBytes, room });
    spool.unbound();
    const most = maxBytes + maxLateBytes();
    let total = 0;
    for (; total < most + 100_000; total += 65_536) {
      await spool.append(bytesFrom(total, 65_536));
      expect(spool.heldBytes).toBeLessThanOrEqual(most);
    }
    expect(spool.total).toBe(total);
    expect(spool.heldBytes).toBeGreaterThanOrEqual(maxLateBytes());
    const held = spool.heldBytes;
    expect(spool.dropped).toEqual([{ from: held, to: total }]);
    // Whoever reads makes room for what comes then.
    spool.taken(total);
    await spool.append(bytesFrom(total, 10));
    const { offsets } = await readFrom(spool, total, 10);
    expect(offsets).toHaveLength(10);
    await spool.remove();
    expect(room.held).toBe(0);
  });

  test("ends with its server, and what it could not write is told", async () => {
    using folder = temporaryFolder();
    const spool = spoolIn(folder.path, { whenFull: "wait" });
    const writing = spool.append(bytesFrom(0, 100));
    while (spool.total < 80) await spool.changed();
    spool.close();
    await writing;
    await spool.end();
    expect(spool.dropped).toEqual([{ from: 80, to: 100 }]);
  });
});
