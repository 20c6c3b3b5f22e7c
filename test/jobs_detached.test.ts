import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DroppedRange } from "../core/jobs/client.ts";
import { textOf } from "./support/bytes.ts";
import {
  DETACH,
  jobServer,
  jobSession,
  ownFolder,
  place,
  until,
} from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

describe("a job that is detached", () => {
  test("goes on without its client, and is read by another", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    const first = await jobSession(served);
    const child = first.spawn(
      `echo one; ${until(here.at("go"))}; echo two >&2; exit 3`,
      DETACH,
    );
    const pid = await child.pid;
    const id = child.jobId ?? "";
    expect(id).toMatch(/^[0-9a-z]{12}$/);
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toBe("one\n");
    await first.close();
    await expect(child.status).rejects.toMatchObject({
      code: "closed",
      jobId: id,
    });

    await using second = await jobSession(served);
    const attached = second.attach(id);
    expect(await attached.pid).toBe(pid);
    writeFileSync(here.at("go"), "");
    const [stdout, stderr, status] = await Promise.all([
      textOf(attached.stdout),
      textOf(attached.stderr),
      attached.status,
    ]);
    expect([stdout, stderr, status.code]).toEqual(["one\n", "two\n", 3]);
    expect(await second.jobs().list()).toMatchObject([{
      id,
      state: "ended",
      pid,
      status: { code: 3, signal: null, reason: null, success: false },
      stdout: { bytes: 4, dropped: 0 },
      stderr: { bytes: 4, dropped: 0 },
      problem: null,
    }]);
  });

  test("is read from any offset on, while it runs and after", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const child = session.spawn(
      `seq 1 50; ${until(here.at("go"))}; seq 51 99; echo err >&2`,
      { ...DETACH, jobId: "numbers" },
    );
    const first = textOf(child.stdout);
    const whole = Array.from({ length: 99 }, (_, i) => `${i + 1}\n`).join("");
    const half = whole.indexOf("51\n");
    const offsets = [0, 1, 17, half - 1, half];
    // What is there, without waiting for what is not.
    await eventually(
      () => sizeOf(here.jobs) >= half,
      () => "half of it is in the spool",
    );
    for (const stdoutOffset of offsets) {
      const look = session.attach("numbers", { stdoutOffset, follow: false });
      expect(await textOf(look.stdout)).toBe(whole.slice(stdoutOffset, half));
      await expect(look.status).rejects.toMatchObject({ code: "closed" });
    }
    const live = offsets.map((stdoutOffset) =>
      session.attach("numbers", { stdoutOffset, stderr: "null" })
    );
    const read = live.map((each) => textOf(each.stdout));
    await Promise.all(live.map((each) => each.pid));
    writeFileSync(here.at("go"), "");
    expect(await Promise.all(read)).toEqual(
      offsets.map((offset) => whole.slice(offset)),
    );
    expect(await first).toBe(whole);
    expect(
      (await Promise.all(live.map((each) => each.status))).map((s) => s.code),
    ).toEqual(offsets.map(() => 0));
    const end = session.attach("numbers", { stdoutOffset: whole.length });
    expect(await textOf(end.stdout)).toBe("");
    expect(await textOf(end.stderr)).toBe("err\n");
    const beyond = session.attach("numbers", {
      stdoutOffset: whole.length + 1,
    });
    await expect(beyond.status).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(`has ${whole.length} bytes so far`),
    });
  });

  test("is let go of by disposal, and ended by terminate", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    {
      await using child = session.spawn("exec sleep 100", {
        ...DETACH,
        jobId: "sleeper",
      });
      await child.pid;
    }
    const sleeper = session.jobs().job("sleeper");
    expect(await sleeper.info()).toMatchObject({ state: "running" });
    await eventually(
      () => served.server.commandCount === 1,
      () => "nobody reads it",
    );
    await expect(sleeper.remove()).rejects.toMatchObject({ code: "refused" });
    const attached = session.attach("sleeper");
    await attached.pid;
    attached.terminate();
    expect(await attached.status).toMatchObject({
      signal: "SIGTERM",
      reason: "cancelled",
    });
    expect((await sleeper.wait()).status).toMatchObject({ signal: "SIGTERM" });
    await expect(sleeper.kill()).rejects.toMatchObject({ code: "refused" });
    await sleeper.remove();
    await expect(sleeper.info()).rejects.toMatchObject({ code: "no_such_job" });
    await eventually(
      () => readdirSync(ownFolder(here.jobs)).length === 0,
      () => "its files are gone",
    );
  });

  test("that drops keeps both ends, and says what went", async () => {
    using here = place();
    await using served = await jobServer(here.jobs, { maxSpoolBytes: 65_536 });
    await using session = await jobSession(served);
    const child = session.spawn("seq 1 100000", {
      ...DETACH,
      stderr: "null",
      jobId: "many",
    });
    child.detach();
    const whole = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\n`)
      .join("");
    // Its process ends a moment before all it wrote is where it is to be: who reads
    // on meanwhile may see what is dropped behind them.
    for (let bytes = 0; bytes < whole.length;) {
      const info = await session.jobs().job("many").info().catch(() => null);
      bytes = info?.stdout?.bytes ?? 0;
    }
    const attached = session.attach("many", { stderr: "null" });
    const ranges: DroppedRange[] = [];
    attached.onDropped = (range) => ranges.push(range);
    const text = await textOf(attached.stdout);
    expect(ranges).toHaveLength(1);
    const [{ stream, from, to }] = ranges;
    expect(stream).toBe("stdout");
    expect(from).toBe(32_768);
    expect(text).toBe(whole.slice(0, from) + whole.slice(to));
    expect(attached.dropped).toBe(to - from);
    expect((await attached.status).code).toBe(0);
    const inside = session.attach("many", { stdoutOffset: from + 5 });
    inside.onDropped = (range) => ranges.push(range);
    expect(await textOf(inside.stdout)).toBe(whole.slice(to));
    expect(ranges[1]).toEqual({ stream: "stdout", from: from + 5, to });
    expect(await session.jobs().job("many").info()).toMatchObject({
      stdout: { bytes: whole.length, dropped: to - from },
    });
  });

  test("that keeps waits for its reader, and loses nothing", async () => {
    using here = place();
    await using served = await jobServer(here.jobs, { maxSpoolBytes: 65_536 });
    await using first = await jobSession(served);
    const child = first.spawn("seq 1 200000; echo done >&2", {
      shell: true,
      onDisconnect: "keep",
      jobId: "patient",
    });
    child.detach();
    const job = first.jobs().job("patient");
    // It stands still before its end: what it has to say has no room.
    await eventually(
      () => sizeOf(here.jobs) >= 32_768,
      () => "its spool is full",
    );
    expect(await job.info()).toMatchObject({ state: "running" });
    const attached = first.attach("patient");
    const [stdout, stderr, status] = await Promise.all([
      textOf(attached.stdout),
      textOf(attached.stderr),
      attached.status,
    ]);
    const whole = Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`)
      .join("");
    expect(stdout === whole).toBe(true);
    expect([stderr, status.code, attached.dropped]).toEqual(["done\n", 0, 0]);
  });

  test("goes on for who begins where nothing is any more", async () => {
    using here = place();
    await using served = await jobServer(here.jobs, {
      maxSpoolBytes: 1_048_576,
    });
    // One that outgrew the spool would be believed to have taken what was sent.
    await using session = await jobSession(served, {
      limits: { maxWindowGrowthBytes: 0 },
    });
    const lines = 600_000;
    const first = session.spawn("seq", {
      args: ["1", String(lines)],
      onDisconnect: "keep",
      jobId: "gone",
    });
    const reader = first.stdout.getReader();
    for (let read = 0; read < 2_000_000;) {
      read += (await reader.read()).value!.byteLength;
    }
    first.detach();
    // What the first has taken is gone; the rest is twice what a spool holds.
    const second = session.attach("gone", { stderr: "null" });
    const text = await textOf(second.stdout);
    expect(second.dropped).toBeGreaterThan(1_000_000);
    expect(text.endsWith(`\n${lines}\n`)).toBe(true);
    expect(await second.status).toMatchObject({ code: 0 });
  });
});

describe("the stdin of a job", () => {
  test("stays open for the next client, and a newer one takes over", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    const first = await jobSession(served);
    const child = first.spawn("exec cat", {
      ...DETACH,
      stdin: "piped",
      jobId: "cat",
    });
    const out = child.stdout.getReader();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("one "));
    await out.read();
    await first.close();
    await child.status.catch(() => {});

    await using session = await jobSession(served);
    const second = session.attach("cat", { stdin: "piped" });
    await second.pid;
    expect(second.stdinOffset).toBe(4);
    const third = session.attach("cat", { stdin: "piped", stdoutOffset: 4 });
    await third.pid;
    await expect(second.stdin.getWriter().closed).rejects.toMatchObject({
      code: "broken_pipe",
    });
    const last = third.stdin.getWriter();
    await last.write(new TextEncoder().encode("two"));
    await last.close();
    expect(await textOf(third.stdout)).toBe("two");
    expect(await textOf(second.stdout)).toBe("one two");
    const late = session.attach("cat", { stdin: "piped" });
    await late.pid;
    expect(late.stdinOffset).toBeNull();
    expect(await textOf(late.stdout)).toBe("one two");
  });
});

/** Bytes of the spools in a folder of jobs. */
function sizeOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true }).map(String)
    .filter((name) => /stdout\.\d+$/.test(name))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
