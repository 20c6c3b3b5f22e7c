import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import type { DroppedRange } from "../core/jobs/client.ts";
import { textOf } from "./support/bytes.ts";
import { jobServer, jobSession, temporaryFolder } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { warmUp } from "./support/serving.ts";

useLeakCheck(async () => {
  await warmUp();
  // What mounts is started so; Bun opens what it does that with once.
  execFileSync("true");
});

/** A disk of 256 KiB. */
function smallDisk() {
  const folder = temporaryFolder();
  const path = join(folder.path, "disk");
  mkdirSync(path);
  const options = "size=256k,nr_inodes=200,mode=0700";
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "limpet", path]);
  return {
    path,
    [Symbol.dispose]() {
      execFileSync("umount", ["--lazy", path]);
      folder[Symbol.dispose]();
    },
  };
}

function numbers(count: number): string {
  return Array.from({ length: count }, (_, i) => `${i + 1}\n`).join("");
}

// Only root may mount anything.
describe.runIf(process.getuid?.() === 0)("on a disk that is full", () => {
  test("a detached job goes on, and what is missing is told", async () => {
    using disk = smallDisk();
    await using served = await jobServer(join(disk.path, "jobs"));
    await using session = await jobSession(served);
    const bystander = session.spawn("cat", { stdin: "piped" });
    await bystander.pid;
    const child = session.spawn("seq 1 200000", {
      shell: true,
      stderr: "null",
      onDisconnect: "detach",
      jobId: "big",
    });
    child.detach();
    const ended = await session.jobs().job("big").wait();
    expect(ended.status).toMatchObject({ code: 0 });
    const attached = session.attach("big");
    const ranges: DroppedRange[] = [];
    attached.onDropped = (range) => ranges.push(range);
    const text = await textOf(attached.stdout);
    const whole = numbers(200_000);
    expect(ranges.length).toBeGreaterThan(0);
    let expected = "";
    let at = 0;
    for (const { from, to } of ranges) {
      expected += whole.slice(at, from);
      at = to;
    }
    expect(text === expected + whole.slice(at)).toBe(true);
    const info = await session.jobs().job("big").info();
    expect(info.stdout).toEqual({
      bytes: whole.length,
      dropped: ranges.reduce((sum, { from, to }) => sum + to - from, 0),
    });
    // Others are none the worse.
    const writer = bystander.stdin.getWriter();
    await writer.write(new TextEncoder().encode("still here"));
    await writer.close();
    expect(await textOf(bystander.stdout)).toBe("still here");
    await session.jobs().job("big").remove();
  });

  test("a job that is kept waits until there is room, and loses nothing", async () => {
    using disk = smallDisk();
    const ballast = join(disk.path, "ballast");
    await using served = await jobServer(join(disk.path, "jobs"));
    await using session = await jobSession(served);
    writeFileSync(ballast, new Uint8Array(160 * 1_024));
    const child = session.spawn("seq 1 30000", {
      shell: true,
      stderr: "null",
      onDisconnect: "keep",
      jobId: "kept",
    });
    child.detach();
    const job = session.jobs().job("kept");
    let problem: string | null = null;
    const patience = performance.now() + 60_000;
    while (problem === null && performance.now() < patience) {
      problem = (await job.info()).problem;
    }
    expect(problem).toMatch(/ENOSPC|[Nn]o space left/);
    rmSync(ballast);
    expect((await job.wait()).status).toMatchObject({ code: 0 });
    const attached = session.attach("kept");
    expect(await textOf(attached.stdout) === numbers(30_000)).toBe(true);
    expect(attached.dropped).toBe(0);
    expect((await job.info()).problem).toBeNull();
  });

  test("a job of which nothing can be written down is not started", async () => {
    using disk = smallDisk();
    await using served = await jobServer(join(disk.path, "jobs"));
    await using session = await jobSession(served);
    await session.jobs().list();
    const ballast = join(disk.path, "ballast");
    try {
      writeFileSync(ballast, new Uint8Array(512 * 1_024));
    } catch {
      // It is full now.
    }
    const options = { onDisconnect: "detach", jobId: "x" } as const;
    await expect(session.spawn("true", options).status).rejects.toMatchObject({
      code: "resource_exhausted",
      message: expect.stringMatching(/^Cannot write down job "x"/),
    });
    expect(served.spawned).toEqual([]);
    expect((await session.output("true")).code).toBe(0);
    rmSync(ballast);
    expect(await session.spawn("true", options).status).toMatchObject({
      code: 0,
    });
  });
});

test("a folder that cannot be made refuses jobs, and nothing else", async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "file"), "");
  await using served = await jobServer(join(folder.path, "file", "jobs"));
  await using session = await jobSession(served);
  await expect(session.spawn("true", { onDisconnect: "keep" }).status).rejects
    .toMatchObject({
      code: "resource_exhausted",
      message: expect.stringMatching(/^Server cannot use its folder of jobs/),
    });
  expect((await session.output("true")).code).toBe(0);
  // As soon as it can be, it is used.
  rmSync(join(folder.path, "file"));
  const child = session.spawn("true", { onDisconnect: "keep" });
  expect((await child.status).code).toBe(0);
});
