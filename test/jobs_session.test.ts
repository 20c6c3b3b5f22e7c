import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Identities } from "../core/auth/identities.ts";
import { jobs } from "../core/jobs/client.ts";
import type { DroppedRange } from "../core/jobs/client.ts";
import type { Session } from "../core/client.ts";
import { policyAuthorizer } from "../core/policy/authorizer.ts";
import { receive, textOf } from "./support/bytes.ts";
import {
  jobServer,
  jobSession,
  ownFolder,
  temporaryFolder,
} from "./support/jobs.ts";
import { checkLeaks, eventually, type LeakCheck } from "./support/leaks.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { serving, TOKEN, warmUp } from "./support/serving.ts";

let noLeaks: LeakCheck;
beforeAll(async () => {
  await warmUp();
  noLeaks = checkLeaks();
});
afterEach(() => noLeaks());

const DETACH = { shell: true, onDisconnect: "detach" } as const;

/** Runs until the file is there. */
function until(path: string): string {
  return `while ! [ -e '${path}' ]; do sleep 0.05; done`;
}

/** Where tests have their files, and a server its jobs. */
function place() {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  return {
    at,
    jobs: at("jobs"),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

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

/** Bytes of the spools in a folder of jobs. */
function sizeOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true }).map(String)
    .filter((name) => /stdout\.\d+$/.test(name))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

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

describe("a name", () => {
  test("starts one command, however many ask for it at once", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    const sessions = await Promise.all(
      Array.from({ length: 4 }, () => jobSession(served)),
    );
    const line = `echo $$ >>'${here.at("started")}'; ${
      until(here.at("go"))
    }; echo over`;
    const children = sessions.flatMap((session) =>
      Array.from(
        { length: 10 },
        () => session.spawn(line, { ...DETACH, jobId: "deploy" }),
      )
    );
    const pids = await Promise.all(children.map((child) => child.pid));
    expect(new Set(pids).size).toBe(1);
    writeFileSync(here.at("go"), "");
    const texts = await Promise.all(children.map((c) => textOf(c.stdout)));
    expect(new Set(texts)).toEqual(new Set(["over\n"]));
    // Long after its end, too.
    const again = sessions[0].spawn(line, { ...DETACH, jobId: "deploy" });
    expect(await textOf(again.stdout)).toBe("over\n");
    expect(await again.status).toMatchObject({ code: 0 });
    expect(readFileSync(here.at("started"), "utf8")).toBe(`${pids[0]}\n`);
    await Promise.all(sessions.map((session) => session.close()));
  });

  test("is refused to another request, which is told what differs", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const options = { ...DETACH, jobId: "x", env: { B: "1", A: "2" } };
    await session.spawn("exit 0", options).status;
    await session.spawn("exit 0", { ...options, env: { A: "2", B: "1" } })
      .status;
    for (
      const [line, more, differing] of [
        ["exit 1", {}, "line"],
        ["exit 0", { env: { A: "2" } }, "env"],
        ["exit 0", { cwd: "/", timeoutMs: 5 }, "cwd, timeoutMs"],
        ["exit 0", { onDisconnect: "keep" as const }, "onDisconnect"],
        ["exit 0", { onDisconnect: "kill" as const }, "onDisconnect"],
      ] as const
    ) {
      const other = session.spawn(line, { ...options, ...more });
      await expect(other.status).rejects.toMatchObject({
        code: "refused",
        message: expect.stringMatching(
          new RegExp(`another request: they differ in ${differing}$`),
        ),
      });
    }
  });

  test("of a command that ends with its client is good for one start", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const line = `echo x >>'${here.at("started")}'; ${until(here.at("go"))}`;
    const options = { shell: true, jobId: "once" };
    const all = Array.from({ length: 10 }, () => session.spawn(line, options));
    const started = await Promise.allSettled(all.map((child) => child.pid));
    expect(started.filter(({ status }) => status === "fulfilled"))
      .toHaveLength(1);
    expect(await session.jobs().list()).toMatchObject([
      { id: "once", state: "running", onDisconnect: "kill" },
    ]);
    await expect(session.attach("once").status).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(/cannot be attached to/),
    });
    const waiting = session.jobs().job("once").wait();
    writeFileSync(here.at("go"), "");
    expect(await waiting).toMatchObject({
      state: "ended",
      status: { code: 0 },
    });
    await expect(session.spawn(line, options).status).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(/has been started already/),
    });
    expect(readFileSync(here.at("started"), "utf8")).toBe("x\n");
  });

  test("is free again if the command could not start", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    for (const onDisconnect of ["kill", "detach"] as const) {
      for (let i = 0; i < 3; i++) {
        const none = session.spawn("no-such-program", {
          jobId: onDisconnect,
          onDisconnect,
        });
        await expect(none.status).rejects.toMatchObject({ code: "not_found" });
      }
      const there = session.spawn("true", {
        jobId: onDisconnect,
        onDisconnect,
      });
      expect((await there.status).code).toBe(0);
    }
    expect(await session.jobs().list()).toMatchObject([
      { id: "kill", state: "ended" },
      { id: "detach", state: "ended" },
    ]);
  });
});

describe("questions", () => {
  test("a wait can be given up, and what does not run is told apart", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const child = session.spawn("exec sleep 100", { ...DETACH, jobId: "s" });
    await child.pid;
    const patience = new AbortController();
    const waiting = session.jobs().job("s").wait(patience.signal);
    patience.abort();
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    await session.jobs().job("s").kill("SIGKILL");
    expect(await child.status).toMatchObject({ signal: "SIGKILL" });
    await expect(session.jobs().job("t").wait()).rejects.toMatchObject({
      code: "no_such_job",
      message: 'There is no job "t"',
    });
  });

  test("a client without jobs says what it needs", async () => {
    await using served = await serving();
    await using session = await served.connect();
    expect(() => session.jobs()).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
    expect(() => session.spawn("true", { onDisconnect: "detach" })).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
    expect((await session.output("true")).jobId).toMatch(/^[0-9a-z]{12}$/);
  });

  test("a server without a folder says so, and lists what runs", async () => {
    await using served = await serving();
    await using session = await jobSession(served);
    await expect(session.spawn("true", { onDisconnect: "keep" }).status)
      .rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringMatching(/keeps no jobs/),
      });
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    expect(await session.jobs().list()).toMatchObject([
      { id: child.jobId, state: "running", argv: ["sleep", "100"] },
    ]);
    await session.jobs().job(child.jobId!).terminate();
    expect(await child.status).toMatchObject({ reason: "cancelled" });
  });

  test("there may be more jobs than one answer has room for", async () => {
    const exit = { code: 0, signal: null };
    await using served = await serving({}, fakeSpawner({ exit }));
    await using session = await jobSession(served);
    const ids = Array.from({ length: 205 }, (_, i) => `n${i}`);
    for (const jobId of ids) await session.output("true", { jobId });
    const listed = await session.jobs().list();
    expect(listed.map(({ id }) => id).sort()).toEqual(ids.sort());
  });
});

describe("identities", () => {
  test("see their own jobs only, and lose them with their access", async () => {
    using here = place();
    const names = ["ann", "bob"];
    const known = names.map((name) => ({ name, token: `${name}-${TOKEN}` }));
    const authenticator = await Identities.from(known);
    await using served = await jobServer(here.jobs, {}, {
      token: undefined,
      authenticator,
    });
    const open = (name: string): Promise<Session> =>
      served.connect({ jobs, token: `${name}-${TOKEN}` });
    await using ann = await open("ann");
    await using bob = await open("bob");
    const options = { ...DETACH, jobId: "same" };
    const hers = ann.spawn("exec sleep 100", options);
    const his = bob.spawn("exec sleep 100", options);
    expect(await hers.pid).not.toBe(await his.pid);
    const secret = ann.spawn("exec sleep 100", { ...DETACH, jobId: "secret" });
    await secret.pid;
    expect((await bob.jobs().list()).map(({ id }) => id)).toEqual(["same"]);
    const tries = (id: string) => [
      bob.attach(id).status,
      bob.jobs().job(id).info(),
      bob.jobs().job(id).wait(),
      bob.jobs().job(id).kill(),
      bob.jobs().job(id).remove(),
    ];
    const answersTo = async (id: string) =>
      (await Promise.allSettled(tries(id))).map((outcome) =>
        outcome.status === "rejected"
          ? `${outcome.reason.code}: ${outcome.reason.message}`
          : "told"
      );
    const foreign = await answersTo("secret");
    expect(foreign).toEqual(
      (await answersTo("absent")).map((text) =>
        text.replace("absent", "secret")
      ),
    );
    expect(new Set(foreign).size).toBe(1);
    await served.server.endSessions(({ name }) => name === "ann");
    await eventually(
      () => served.server.commandCount === 1,
      () => `hers have ended: ${served.server.commandCount}`,
    );
    // Told when its output has its end as well, on the disk.
    const end = () =>
      served.events.find((event) =>
        event.type === "command_ended" && event.jobId === "secret"
      );
    await eventually(() => end() !== undefined, () => "its end is told");
    expect(end()).toMatchObject({ status: { reason: "revoked" } });
    await bob.jobs().job("same").kill();
    expect((await his.status).signal).toBe("SIGTERM");
  });
});

test("a policy's count is of jobs too, until they end", async () => {
  using here = place();
  const policy = { commands: [["**"]], detach: true, maxCommands: 1 };
  const authorize = policyAuthorizer({
    policyOf: () => policy,
    realPath: (path) => Promise.resolve(path),
  });
  await using served = await jobServer(here.jobs, {}, { authorize });
  const first = await jobSession(served);
  const options = { onDisconnect: "detach", jobId: "one" } as const;
  const start = (session: Session) =>
    session.spawn("sleep", { ...options, args: ["100"] });
  await start(first).pid;
  await first.close();
  await using second = await jobSession(served);
  // Whoever asks for the same one is not counted twice.
  await start(second).pid;
  await expect(second.output("true")).rejects.toMatchObject({
    code: "refused",
    message: expect.stringMatching(/allows 1 command at once/),
  });
  await second.jobs().job("one").kill();
  await second.jobs().job("one").wait();
  expect((await second.output("true")).code).toBe(0);
});

test("limits of jobs: at each of them, and one past it", async () => {
  using here = place();
  const limits = { maxJobs: 4, maxJobsPerIdentity: 3 };
  await using served = await jobServer(here.jobs, limits);
  await using session = await jobSession(served);
  const start = (jobId: string) =>
    session.spawn("sleep", { args: ["100"], jobId, onDisconnect: "detach" });
  const ids = async () => (await session.jobs().list()).map(({ id }) => id);
  for (const id of ["a", "b", "c"]) await start(id).pid;
  await expect(start("d").pid).rejects.toMatchObject({
    code: "limit_exceeded",
    message: expect.stringMatching(/maxJobsPerIdentity/),
  });
  // The same one is none more.
  await start("a").pid;
  await session.jobs().job("b").kill();
  await session.jobs().job("b").wait();
  await start("d").pid;
  expect(await ids()).toEqual(["a", "c", "d"]);
  // What nobody named or kept is not in anybody's way, and leaves no trace then.
  const child = session.spawn("true");
  await child.status;
  expect(await ids()).toEqual(["a", "c", "d"]);
  for (const id of ["a", "c", "d"]) {
    await session.jobs().job(id).kill("SIGKILL");
  }
});

test("maxJobs: those of all identities together, and one past it", async () => {
  using here = place();
  const known = ["ann", "bob"].map((name) => ({
    name,
    token: `${name}-${TOKEN}`,
  }));
  const authenticator = await Identities.from(known);
  await using served = await jobServer(here.jobs, { maxJobs: 2 }, {
    token: undefined,
    authenticator,
  });
  const open = (name: string) =>
    served.connect({ jobs, token: `${name}-${TOKEN}` });
  await using ann = await open("ann");
  await using bob = await open("bob");
  const start = (session: Session, jobId: string) =>
    session.spawn("sleep", { args: ["100"], jobId, onDisconnect: "keep" });
  await start(ann, "a").pid;
  await start(ann, "b").pid;
  const refused = {
    code: "limit_exceeded",
    message: expect.stringMatching(/limit maxJobs allows/),
  };
  await expect(start(bob, "c").pid).rejects.toMatchObject(refused);
  // What has ended makes room for who it belongs to, and for nobody else.
  await ann.jobs().job("a").kill();
  await ann.jobs().job("a").wait();
  await expect(start(bob, "c").pid).rejects.toMatchObject(refused);
  await start(ann, "d").pid;
  expect((await ann.jobs().list()).map(({ id }) => id)).toEqual(["b", "d"]);
  for (const id of ["b", "d"]) await ann.jobs().job(id).kill();
});

test("maxTotalSpoolBytes: at it nothing is lost, past it the oldest go", async () => {
  using here = place();
  await using served = await jobServer(here.jobs, {
    maxTotalSpoolBytes: 20_000,
  });
  await using session = await jobSession(served);
  const write = async (jobId: string, bytes: number) => {
    const child = session.spawn("head", {
      args: ["-c", String(bytes), "/dev/zero"],
      jobId,
      stderr: "null",
      onDisconnect: "detach",
    });
    const { bytes: read } = await receive(child.stdout);
    return [read.byteLength, child.dropped];
  };
  expect(await write("a", 10_000)).toEqual([10_000, 0]);
  expect(await write("b", 10_000)).toEqual([10_000, 0]);
  expect((await session.jobs().list()).map(({ id }) => id)).toEqual(["a", "b"]);
  expect(await write("c", 1)).toEqual([1, 0]);
  expect((await session.jobs().list()).map(({ id }) => id)).toEqual(["b", "c"]);
  // More than there is for all of them: what comes first stays.
  const [read, dropped] = await write("d", 50_000);
  expect(read + dropped).toBe(50_000);
  expect(dropped).toBeGreaterThanOrEqual(30_000);
  expect(await session.jobs().job("d").info()).toMatchObject({
    problem: expect.stringMatching(/maxTotalSpoolBytes/),
  });
});

test("what becomes of jobs is told, to whom it belongs, and how it ended", async () => {
  using here = place();
  await using served = await jobServer(here.jobs);
  const first = await jobSession(served);
  const child = first.spawn("exec cat", {
    ...DETACH,
    stdin: "piped",
    jobId: "cat",
  });
  await child.pid;
  await first.close();
  await served.untilDisconnected(1);
  await using second = await jobSession(served);
  const attached = second.attach("cat", { stdin: "piped" });
  await attached.pid;
  attached.kill("SIGWINCH");
  await second.jobs().job("cat").kill("SIGWINCH");
  const writer = attached.stdin.getWriter();
  await writer.write(new Uint8Array(3));
  await writer.close();
  await attached.status;
  await textOf(attached.stdout);
  await eventually(
    () => served.events.some(({ type }) => type === "command_ended"),
    () => "it has ended",
  );
  await second.jobs().job("cat").remove();
  const told = served.events.filter((event) => "jobId" in event);
  expect(told).toMatchObject([
    { type: "command_started", session: 1, jobId: "cat", identity: "default" },
    { type: "job_attached", session: 2, jobId: "cat", command: 1 },
    // Whoever sent them, not who started it.
    { type: "command_signalled", session: 2, jobId: "cat", command: 1 },
    { type: "command_signalled", session: 2, jobId: "cat", command: 3 },
    {
      type: "command_ended",
      session: 1,
      jobId: "cat",
      bytes: { stdin: 3, stdout: 3, stderr: 0 },
    },
    { type: "job_removed", session: 2, jobId: "cat" },
  ]);
});

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

test("a job is forgotten when its time is over", async () => {
  using here = place();
  await using served = await jobServer(here.jobs, { jobTtlMs: 200 });
  await using session = await jobSession(served);
  const child = session.spawn("true", { jobId: "x", onDisconnect: "detach" });
  await child.status;
  await eventually(
    () => readdirSync(ownFolder(here.jobs)).length === 0,
    () => "its files are gone",
  );
  await expect(session.attach("x").status).rejects.toMatchObject({
    code: "no_such_job",
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
      message: 'No signal reaches job "x" any more: the server restarted ' +
        "while it ran",
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

function recordOf(folder: string, id: string): string {
  return readFileSync(join(ownFolder(folder), id, "record.json"), "utf8");
}

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
