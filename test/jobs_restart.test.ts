import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { receive, textOf } from "./support/bytes.ts";
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

test("a server that drains waits for jobs without a client, then ends them", async () => {
  using here = place();
  await using served = await jobServer(here.jobs);
  const session = await jobSession(served);
  for (const id of ["short", "long"]) {
    const line = id === "short" ? until(here.at("go")) : "exec sleep 100";
    await session.spawn(line, { ...DETACH, jobId: id }).pid;
  }
  await session.close();
  await served.untilDisconnected(1);
  expect(served.server.commandCount).toBe(2);
  const closing = served.server.close({ drainMs: 60_000 });
  writeFileSync(here.at("go"), "");
  await eventually(
    () => served.server.commandCount === 1,
    () => "the short one has come to its end",
  );
  // In more of a hurry.
  await served.server.close({ graceMs: 0 });
  await closing;
  const ended = served.events.filter((event) => event.type === "command_ended");
  expect(ended).toMatchObject([
    { jobId: "short", status: { code: 0, reason: null } },
    { jobId: "long", status: { reason: "shutting_down" } },
  ]);
  expect(JSON.parse(recordOf(here.jobs, "long"))).toMatchObject({
    status: { reason: "shutting_down" },
    endedAt: expect.any(Number),
  });
});

describe("a server that", () => {
  test("goes down ends its jobs, and the next one tells how", async () => {
    using here = place();
    {
      await using served = await jobServer(here.jobs);
      await using session = await jobSession(served);
      const child = session.spawn("echo here; exec sleep 100", {
        ...DETACH,
        jobId: "long",
      });
      await child.pid;
      await session.spawn("echo short; exit 4", { ...DETACH, jobId: "short" })
        .status;
      const reader = child.stdout.getReader();
      await reader.read();
    }
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    expect(await session.jobs().list()).toMatchObject([
      { id: "long", state: "ended", status: { reason: "shutting_down" } },
      { id: "short", state: "ended", status: { code: 4 } },
    ]);
    const long = session.attach("long");
    expect(await textOf(long.stdout)).toBe("here\n");
    expect(await long.status).toMatchObject({ reason: "shutting_down" });
    // And it is the same job for whoever starts it again.
    const again = session.spawn("echo short; exit 4", {
      ...DETACH,
      jobId: "short",
    });
    expect(await textOf(again.stdout)).toBe("short\n");
    expect((await again.status).code).toBe(4);
    expect(served.spawned).toEqual([]);
  });

  test("was killed does not know how its jobs ended, and says so", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const child = session.spawn("echo here; exec sleep 100", {
      ...DETACH,
      jobId: "x",
    });
    const reader = child.stdout.getReader();
    await reader.read();
    await session.spawn("true", { ...DETACH, jobId: "y" }).status;
    await eventually(
      () => JSON.parse(recordOf(here.jobs, "y")).endedAt !== null,
      () => "y is written down",
    );
    // As a killed server leaves it: its lock is that of a process long gone.
    cpSync(here.jobs, here.at("left"), { recursive: true });
    writeFileSync(join(here.at("left"), ".lock.1"), "999999999 1");
    const own = ownFolder(here.at("left"));
    mkdirSync(join(own, "bad"));
    writeFileSync(join(own, "bad", "record.json"), "{");
    await using next = await jobServer(here.at("left"));
    await using other = await jobSession(next);
    expect(await other.jobs().list()).toMatchObject([
      { id: "x", state: "unknown", status: null, stdout: { bytes: 5 } },
      { id: "y", state: "ended", status: { code: 0 } },
    ]);
    expect(next.events).toContainEqual(expect.objectContaining({
      type: "jobs_problem",
      message: expect.stringMatching(
        /[0-9a-f]{24}\/bad: It is no JSON object$/,
      ),
    }));
    const attached = other.attach("x");
    const { bytes, error } = await receive(attached.stdout);
    expect(new TextDecoder().decode(bytes)).toBe("here\n");
    expect(error).toMatchObject({ code: "connection_lost" });
    await expect(attached.status).rejects.toMatchObject({
      code: "connection_lost",
      message: expect.stringMatching(/unknown: the server restarted/),
      jobId: "x",
    });
    const waited = await other.jobs().job("x").wait();
    expect(waited).toMatchObject({ state: "unknown" });
    await expect(other.jobs().job("x").kill()).rejects.toMatchObject({
      code: "refused",
      message: 'No signal reaches job "x" any more: what became of it is ' +
        "unknown",
    });
    // Not run a second time either.
    const again = other.spawn("echo here; exec sleep 100", {
      ...DETACH,
      jobId: "x",
    });
    await expect(again.status).rejects.toMatchObject({
      code: "connection_lost",
    });
    expect(next.spawned).toEqual([]);
    await other.jobs().job("x").remove();
    await session.jobs().job("x").kill();
    await child.status;
  });

  test("finds another one in its folder takes one of its own", async () => {
    using here = place();
    await using one = await jobServer(here.jobs);
    await using two = await jobServer(here.jobs);
    for (const served of [one, two]) {
      await using session = await jobSession(served);
      const child = session.spawn("true", { ...DETACH, jobId: "mine" });
      expect((await child.status).code).toBe(0);
    }
    expect(readdirSync(ownFolder(here.jobs))).toEqual(["mine"]);
    expect(readdirSync(ownFolder(`${here.jobs}.2`))).toEqual(["mine"]);
    expect(one.spawned.length + two.spawned.length).toBe(2);
  });
});

test("what is on disk is its owner's alone, and no value of a variable", async () => {
  using here = place();
  await using served = await jobServer(here.jobs);
  await using session = await jobSession(served);
  const options = { ...DETACH, jobId: "A.b", env: { PASSWORD: "hunter2" } };
  await session.spawn("echo x", options).status;
  await eventually(
    () => /"endedAt":\d/.test(recordOf(here.jobs, "+41+2eb")),
    () => "it is written down",
  );
  const own = basename(ownFolder(here.jobs));
  const names = readdirSync(here.jobs, { recursive: true }).map(String);
  expect(names.sort()).toEqual([
    ".lock.1",
    own,
    `${own}/+41+2eb`,
    `${own}/+41+2eb/record.json`,
    `${own}/+41+2eb/stdout.0`,
  ]);
  for (const name of ["", ...names]) {
    const stats = statSync(join(here.jobs, name));
    expect(stats.mode & 0o777).toBe(stats.isDirectory() ? 0o700 : 0o600);
  }
  expect(recordOf(here.jobs, "+41+2eb")).not.toMatch(/hunter2/);
});

function recordOf(folder: string, id: string): string {
  return readFileSync(join(ownFolder(folder), id, "record.json"), "utf8");
}
