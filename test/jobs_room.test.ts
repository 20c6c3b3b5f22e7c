import { expect, test } from "vitest";
import type { ServerLimits } from "../core/server_limits.ts";
import { textOf } from "./support/bytes.ts";
import { Spool } from "../core/jobs/spool.ts";
import { SpoolRoom } from "../core/jobs/spool_room.ts";
import {
  jobFiles,
  jobServer,
  jobSession,
  temporaryFolder,
} from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

const NUMBERS = Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`).join(
  "",
);

/** What is left for a job is much less than what its client may hold. */
test.each<[string, Partial<ServerLimits>, number]>([
  ["one piece of its spool", { maxTotalSpoolBytes: 300_000 }, 262_144],
  ["half a window of its reader", { maxTotalSpoolBytes: 300_000 }, 4_194_304],
  [
    "a few pieces of its spool",
    { maxSpoolBytes: 524_288, maxTotalSpoolBytes: 200_000 },
    262_144,
  ],
])(
  "a kept job that has less room than %s goes on while it is read",
  async (_, limits, windowBytes) => {
    using folder = temporaryFolder();
    await using served = await jobServer(folder.path, limits);
    await using session = await jobSession(served, { limits: { windowBytes } });
    const child = session.spawn("seq 1 200000", {
      shell: true,
      stderr: "null",
      onDisconnect: "keep",
    });
    const text = await textOf(child.stdout);
    expect(text === NUMBERS).toBe(true);
    expect(await child.status).toMatchObject({ code: 0 });
    expect(child.dropped).toBe(0);
  },
);

test("a chunk that is larger than all the room there is goes piece by piece", async () => {
  using folder = temporaryFolder();
  const spool = new Spool({
    files: jobFiles,
    folder: folder.path,
    name: "stdout",
    maxBytes: 8_388_608,
    whenFull: "wait",
    room: new SpoolRoom(100_000),
  });
  const chunk = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
  const writing = spool.append(chunk).then(() => spool.end());
  const read = new Uint8Array(chunk.byteLength);
  for (let at = 0; at < chunk.byteLength;) {
    const changed = spool.changed();
    const piece = await spool.read(at, 65_536);
    if (piece === null) {
      spool.taken(at);
      await changed;
    } else if ("bytes" in piece) {
      read.set(piece.bytes, at);
      at += piece.bytes.byteLength;
      expect(spool.heldBytes).toBeLessThanOrEqual(100_000);
    } else throw new Error(`dropped from ${at}`);
  }
  await writing;
  expect(read).toEqual(chunk);
  await spool.remove();
});
