import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { expect, test, vi } from "vitest";
import { connect, serve } from "../adapters/node/mod.ts";
import { nodeHelper, pythonHelpers } from "../adapters/node/helper_programs.ts";
import { spawnHelper, spawnHelperOf } from "../adapters/node/spawn_helper.ts";
import { jobs } from "../core/jobs/client.ts";
import type { LimpetError } from "../core/errors.ts";
import type { Command, ProcessHandle, Spawner } from "../core/ports.ts";
import { adapter } from "./support/adapter.ts";
import { textOf } from "./support/bytes.ts";
import { DETACH, jobServer, place } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { statOf } from "./support/proc.ts";
import { isAlive, SLEEPER, untilGone } from "./support/processes.ts";
import { program, ROOT } from "./support/runtimes.ts";
import { startServer } from "./support/servers.ts";
import { serving, warmUp } from "./support/serving.ts";
import { helperInUse, parentOf, WRITTEN_IN } from "./support/spawn_helper.ts";

useLeakCheck(async () => {
  await warmUp();
  await using helper = spawnHelper();
  await parentOf(helper.spawner);
});

const DIST = JSON.stringify(join(ROOT, "dist", "node.js"));
const env = { PATH: process.env.PATH ?? "/usr/bin:/bin" };
const line = (text: string): Command => ({
  line: text,
  env,
  stdin: "null",
  stdout: "piped",
  stderr: "null",
});
const sleeper = line(SLEEPER);

const output = async (child: ProcessHandle) =>
  (await Promise.all([textOf(child.stdout!), child.status]))[0];

test("a helper comes with the ninth command, and goes with close", async () => {
  const { spawner, close } = spawnHelper();
  for (let i = 0; i < 8; i++) expect(await parentOf(spawner)).toBe(process.pid);
  // It takes a moment to start.
  let pid = process.pid;
  while (pid === process.pid) pid = await parentOf(spawner);
  expect(isAlive(pid)).toBe(true);
  const closed = close();
  expect(await parentOf(spawner)).toBe(process.pid);
  await closed;
  expect(isAlive(pid)).toBe(false);
  expect(await parentOf(spawner)).toBe(process.pid);
});

test.each(WRITTEN_IN)(
  "a command's surroundings are the same with a helper in %s",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    const seen = line(
      "env; pwd; umask; cat /proc/self/limits /proc/self/cgroup; ls /proc/$$/fd;" +
        // By the shell itself: it blocks signals until a grep of its has begun. Not
        // SigQ, which is of all processes of the user.
        "while read -r said; do case $said in " +
        'Sig[!Q]*|Shd*|Cap*|Uid*|Gid*|Groups*|NoNew*|Seccomp:*) echo "$said";; ' +
        "esac; done </proc/$$/status;" +
        "cat /proc/$$/oom_score_adj /proc/$$/fdinfo/0 /proc/$$/fdinfo/2; nice; " +
        "read -r pid _ _ _ group session _ </proc/self/stat;" +
        "echo $((pid - group)) $((pid - session)) $((pid - $$))",
    );
    const [ours, said] = await Promise.all([
      adapter.spawner(seen).then(output),
      helper.spawner(seen).then(output),
    ]);
    // What glibc starts by `posix_spawn`, for whomever, does not see its own
    // signals 32 and 33: sysdeps/unix/sysv/linux/spawni.c.
    const its = writtenIn === "Python"
      ? said.replace("SigIgn:\t0000000180000000", "SigIgn:\t0000000000000000")
      : said;
    expect(its).toBe(ours);
    expect(its).toMatch(/\nSigIgn:\t0+\n[^]*\n0 0 0\n$/);
    // Nor does it get anything of ours itself.
    expect(readFileSync(`/proc/${helper.pid}/environ`, "utf8")).toBe("");
  },
);

/** What becomes of it: output and exit, or the error. */
async function outcome(spawner: Spawner, command: Partial<Command>) {
  const nothing = { env, stdin: "null", stderr: "null" } as const;
  try {
    const child = await spawner({ ...nothing, stdout: "piped", ...command });
    return [await textOf(child.stdout!), await child.status];
  } catch (error) {
    const { code, message } = error as LimpetError;
    return [code, message];
  }
}

test.each(WRITTEN_IN)(
  "a helper in %s finds and starts what we do",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    const folder = mkdtempSync(join(tmpdir(), "limpet-found-"));
    const put = (name: string, text: string, mode = 0o755) => {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode });
      return path;
    };
    const script = put("bare", 'echo "$0 of $# in $PWD: $1"');
    put("first/said", "#!/bin/sh\necho no", 0o644);
    put("second/said", "#!/bin/sh\necho second");
    put("only/locked", "#!/bin/sh\necho no", 0o644);
    put("gone", "#!/nowhere/sh\n");
    put("file", "");
    const at = (...folders: string[]) =>
      folders.map((name) => name && join(folder, name)).join(":");
    const path = (...folders: string[]) => ({ env: { PATH: at(...folders) } });
    const commands: Partial<Command>[] = [
      // Named by no interpreter, by a path, in a folder, by PATH's empty entry.
      { argv: [script, "a b", "c"] },
      { argv: ["./bare", "x"], cwd: folder },
      { argv: ["bare", "x"], cwd: folder, env: { PATH: "/nowhere:" } },
      { argv: ["second/said"], cwd: folder },
      { argv: ["said"], cwd: folder, env: { PATH: "/nowhere:second" } },
      { argv: ["said"], ...path("nowhere", "file", "first", "second") },
      { argv: ["locked"], ...path("only", "second") },
      { argv: ["locked"], ...path("only") },
      { argv: ["gone"], ...path("", "second"), cwd: folder },
      { argv: ["said"], ...path("nowhere") },
      { argv: ["sh", "-c", "echo $PATH"], env: {} },
      { argv: ["said"], env: { PATH: "" }, cwd: join(folder, "second") },
      // And the next one is at home again.
      { argv: ["pwd"], cwd: folder },
      { argv: ["pwd"] },
      { argv: ["pwd"], cwd: "" },
      { argv: ["true"], cwd: join(folder, "nowhere") },
      { argv: ["true"], cwd: join(folder, "file") },
      { argv: [folder] },
      { argv: ["x".repeat(300)] },
      { argv: ["printf", "%s", "x".repeat(100_000)] },
      { argv: ["printf", "%s", "x".repeat(140_000)] },
      // Halves of a pair, whole pairs, and names that are numbers.
      { argv: ["printf", "%s", "a\ud800b\udc00\u{1f41a}"] },
      {
        argv: ["env"],
        env: { ...env, "2": "b", "1": "a", "\ud800": "\udfff" },
      },
      { argv: ["env"], env: { ...env, "A=B": "C" } },
    ];
    try {
      for (const command of commands) {
        const [ours, its] = [
          await outcome(adapter.spawner, command),
          await outcome(helper.spawner, command),
        ];
        expect({ command, said: its }).toEqual({ command, said: ours });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test.each(WRITTEN_IN)(
  "a helper in %s tells by which signal a command ended",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    const names = new Set<string | null>();
    for (let number = 1; number < 32; number++) {
      // What ends no process, or only stops it.
      if ([17, 18, 19, 20, 21, 22, 23, 28].includes(number)) continue;
      const killed = line(`ulimit -c 0; kill -${number} $$`);
      const [ours, its] = await Promise.all(
        [adapter, helper].map(async ({ spawner }) => {
          const child = await spawner(killed);
          await output(child);
          return child.status;
        }),
      );
      expect(its).toEqual(ours);
      names.add(its.signal);
    }
    expect(names.size).toBe(23);
    expect(names).not.toContain(null);
  },
);

test("a helper in Python knows a signal without a name, as Deno does", async () => {
  await using helper = await helperInUse("Python");
  const child = await helper.spawner(line("kill -34 $$"));
  await output(child);
  expect(await child.status).toEqual({ code: null, signal: "SIG34" });
});

test.each(WRITTEN_IN)(
  "a helper in %s goes on when everything is told to end",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"]) {
      process.kill(helper.pid, signal);
    }
    const child = await helper.spawner(line("echo $PPID; kill -TERM $$"));
    expect(await output(child)).toBe(`${helper.pid}\n`);
    // It takes those signals itself; what it starts does not inherit that.
    expect(await child.status).toEqual({ code: null, signal: "SIGTERM" });
  },
);

test.each(WRITTEN_IN)(
  "with a helper in %s a signal does not wait for commands that are to start",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    const nothing = { ...line("exit 0"), stdout: "null" } as const;
    const first = await helper.spawner({ ...nothing, line: SLEEPER });
    let started = 0;
    const others = Array.from({ length: 60 }, async () => {
      const child = await helper.spawner(nothing);
      started++;
      await child.status;
    });
    expect(first.kill("SIGKILL")).toBe(true);
    expect(await first.status).toEqual({ code: null, signal: "SIGKILL" });
    expect(started).toBeLessThan(30);
    await Promise.all(others);
  },
);

test.each(WRITTEN_IN)(
  "a helper in %s that stands still keeps nothing alive that is to be killed",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    const child = await helper.spawner(sleeper);
    process.kill(helper.pid, "SIGSTOP");
    expect(child.kill("SIGKILL")).toBe(true);
    await untilGone([child.pid]);
    process.kill(helper.pid, "SIGCONT");
    expect(await child.status).toEqual({ code: null, signal: "SIGKILL" });
    await child.stdout!.cancel();
  },
);

test.each(WRITTEN_IN)(
  "a helper in %s that stands still can be closed",
  async (writtenIn) => {
    const { pid, close } = await helperInUse(writtenIn);
    process.kill(pid, "SIGSTOP");
    await close();
    expect(isAlive(pid)).toBe(false);
  },
);

/** Kills one that is not wanted, and reads what it has said. */
async function end(child: ProcessHandle): Promise<void> {
  child.kill("SIGKILL");
  await Promise.all([
    child.status,
    child.stdin!.abort(),
    child.stdout!.cancel(),
    child.stderr!.cancel(),
  ]);
}

/** Where this process has its named pipes. */
function pipesFolder(): string {
  const alive = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  }).find((path) => /\/limpet-pipes-\w+\/alive$/.test(path));
  return dirname(alive!);
}

test("named pipes are made before there are none left", async () => {
  await using helper = await helperInUse();
  const folder = pipesFolder();
  const left = () => readdirSync(folder).length;
  let lowest = 0;
  while (lowest === 0) {
    const before = left();
    await output(await helper.spawner(line("exit 0")));
    if (left() > before) lowest = before;
  }
  // Of 128, and the one that shows that we live.
  expect(lowest).toBeGreaterThan(10);
});

test.each(["this process", ...WRITTEN_IN] as const)(
  "what %s has started ends if one of its pipes is none",
  async (by) => {
    const { spawner, close } = by === "this process"
      ? { ...adapter, close: async () => {} }
      : await helperInUse(by);
    // There are none before the first one.
    await output(await spawner(line("exit 0")));
    const folder = pipesFolder();
    const spoilt = new Set<string>();
    /** Every other one, as of now: more are made at any time. */
    const spoil = () => {
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        if (!/[13579]$/.test(name) || spoilt.has(path)) continue;
        rmSync(path);
        writeFileSync(path, "");
        spoilt.add(path);
      }
    };
    const spoiltLeft = () => [...spoilt].filter((path) => existsSync(path));
    const mend = () => {
      for (const path of spoiltLeft()) {
        rmSync(path);
        execFileSync("mkfifo", [path]);
      }
      spoilt.clear();
    };
    const shown = mkdtempSync(join(tmpdir(), "limpet-shown-"));
    const both: Command = {
      ...line(`>${shown}/$$; ${SLEEPER}`),
      stdin: "piped",
      stderr: "piped",
    };
    try {
      // Each command takes three, most often in a row: one or two of them are
      // spoilt, the first or another.
      for (let failures = 0; failures < 20;) {
        spoil();
        const before = spoiltLeft().length;
        const child = await spawner(both).catch(() => null);
        expect(child === null).toBe(spoiltLeft().length < before);
        if (child === null) failures++;
        else await end(child);
      }
      mend();
      // A helper gets round to this one when it has killed those before it.
      await output(await spawner(line("exit 0")));
      await untilGone(readdirSync(shown).map(Number));
    } finally {
      mend();
      await close();
      rmSync(shown, { recursive: true });
    }
  },
);

test.each(WRITTEN_IN)(
  "a helper in %s blames no program for a pipe that was removed",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    const folder = pipesFolder();
    const before = new Set(readdirSync(folder));
    process.kill(helper.pid, "SIGSTOP");
    const child = helper.spawner(line("exit 0"));
    const refused = expect(child).rejects.toMatchObject({
      code: "spawn_failed",
      message: expect.stringMatching(
        /^Cannot start "exit 0": somebody removed \S+\/limpet-pipes-\w+\/\d+, a pipe /,
      ),
    });
    for (const name of before) {
      if (name !== "alive") rmSync(join(folder, name));
    }
    process.kill(helper.pid, "SIGCONT");
    await refused;
    // There are others.
    expect(await output(await helper.spawner(line("echo on")))).toBe("on\n");
  },
);

test("another helper is tried a minute after one that did not come up", async () => {
  const program = { file: "/nowhere/node", args: nodeHelper().args };
  const { spawner, close } = spawnHelperOf([program]);
  const now = performance.now.bind(performance);
  let later = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now() + later);
  try {
    for (let i = 0; i < 30; i++) {
      expect(await parentOf(spawner)).toBe(process.pid);
    }
    program.file = process.execPath;
    for (let i = 0; i < 30; i++) {
      expect(await parentOf(spawner)).toBe(process.pid);
    }
    later = 60_000;
    let pid = process.pid;
    while (pid === process.pid) pid = await parentOf(spawner);
    expect(isAlive(pid)).toBe(true);
  } finally {
    vi.restoreAllMocks();
    await close();
  }
});

test("what does not come up is ended, by close() or after ten seconds", async () => {
  const script = 'echo $$ >"$0"; exec sleep 1000';
  const folder = mkdtempSync(join(tmpdir(), "limpet-hangs-"));
  const shown = join(folder, "pid");
  const hanging = { file: "/bin/sh", args: ["-c", script, shown] };
  const begun = async (spawner: Spawner) => {
    let pid = 0;
    while (pid === 0) {
      await parentOf(spawner);
      if (existsSync(shown)) pid = Number(readFileSync(shown, "utf8"));
    }
    rmSync(shown);
    return pid;
  };
  try {
    const { spawner, close } = spawnHelperOf([hanging, nodeHelper()]);
    const first = await begun(spawner);
    await close();
    expect(isAlive(first)).toBe(false);

    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    await using helper = spawnHelperOf([hanging, nodeHelper()]);
    const second = await begun(helper.spawner);
    vi.advanceTimersByTime(9_999);
    expect(isAlive(second)).toBe(true);
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    await untilGone([second]);
    let pid = process.pid;
    while (pid === process.pid) pid = await parentOf(helper.spawner);
  } finally {
    vi.useRealTimers();
    rmSync(folder, { recursive: true });
  }
});

test("a helper that became one with a child of its own goes on", async () => {
  const [{ file, args }] = pythonHelpers();
  const shown = join(mkdtempSync(join(tmpdir(), "limpet-child-")), "pid");
  const line = 'sleep 0.1 & echo $! >"$0"; exec "$@"';
  const program = { file: "/bin/sh", args: ["-c", line, shown, file, ...args] };
  const onLost = vi.fn();
  await using helper = spawnHelperOf([program], { onLost });
  let pid = process.pid;
  while (pid === process.pid) pid = await parentOf(helper.spawner);
  expect(statOf(pid)?.parent).toBe(process.pid);
  // It collects what is not its own when it collects one of these.
  const stranger = Number(readFileSync(shown, "utf8"));
  while (statOf(stranger) !== null) {
    expect(await parentOf(helper.spawner)).toBe(pid);
  }
  expect(onLost).not.toHaveBeenCalled();
  rmSync(dirname(shown), { recursive: true });
});

test("a helper in Python that may not go home again loses nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "limpet-home-"));
  const [{ file, args }] = pythonHelpers();
  // Root, too, may only go where it is let in.
  const asAnybody = process.getuid?.() === 0
    ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    : [];
  const [first, ...rest] = [...asAnybody, file, ...args];
  const helper = spawn(first, rest, {
    cwd: folder,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: helper.stdout })
    [Symbol.asyncIterator]();
  const told = async () => JSON.parse((await lines.next()).value);
  const start = (id: number, cwd?: string) => {
    const stdio = ["ignore", "ignore", "ignore"];
    const message = { id, file: "sh", args: ["-c", "exit 3"], env, cwd, stdio };
    helper.stdin.write(`${JSON.stringify(message)}\n`);
  };
  const ended = (id: number) => ({ id, code: 3, signal: null, isGone: true });
  const started = (id: number) => ({ id, pid: expect.any(Number) });
  try {
    expect(await told()).toEqual({ up: true });
    chmodSync(folder, 0);
    start(1, "/");
    expect(await told()).toEqual(started(1));
    expect(await told()).toEqual(ended(1));
    start(2, "/");
    expect(await told()).toEqual(started(2));
    expect(await told()).toEqual(ended(2));
    // It would be another place than was meant.
    start(3);
    expect(await told()).toMatchObject({ id: 3, error: { code: "EACCES" } });
    chmodSync(folder, 0o700);
    start(4);
    expect(await told()).toEqual(started(4));
    expect(await told()).toEqual(ended(4));
  } finally {
    helper.stdin.end();
    await new Promise((resolve) => helper.once("close", resolve));
    rmSync(folder, { recursive: true });
  }
});

test("a server has a helper in Python, of less memory than one in JavaScript", async () => {
  const residentKiB = (pid: number) =>
    Number(
      /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1],
    );
  await using server = await startServer("node");
  const session = await server.connect();
  let pid = server.pid;
  while (pid === server.pid) pid = Number(await session.$`echo $PPID`.text());
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8"))
    .toMatch(/^\/usr(\/local)?\/bin\/python3\0.*_program\.py\0$/);
  await using other = await helperInUse("JavaScript");
  expect(residentKiB(pid)).toBeLessThan(residentKiB(other.pid) / 2);
  await session.close();
});

test("where Python cannot do it, JavaScript takes its place", async () => {
  const [{ file, args }] = pythonHelpers();
  const after = (change: string) => ({
    file,
    args: [
      "-c",
      `import os, sys\n${change}\nexec(open(sys.argv[1]).read())`,
      args.at(-1)!,
    ],
  });
  const shell = (line: string) => ({
    file: "/bin/sh",
    args: ["-c", line, "sh", file, ...args],
  });
  const failing = (error: string) =>
    after(`def fail(*_, **__): raise ${error}\nos.posix_spawn = fail`);
  for (
    const program of [
      { file: "/nowhere/python3", args },
      { file: "/bin/false", args },
      after("del os.posix_spawn"),
      failing("NotImplementedError"),
      // By a filter of system calls.
      failing("PermissionError(1, 'no')"),
      // In an emulator, where its failures are the child's.
      after(
        "os.posix_spawn = lambda *_, **__: " +
          "os.spawnlp(os.P_NOWAIT, 'false', 'false')",
      ),
      shell('echo hello; exec "$@"'),
      shell(`printf 'hello\\n{"up":true}\\n'; exec "$@"`),
      shell('echo null; exec "$@"'),
      shell('sleep 1000 & echo "{}"'),
    ]
  ) {
    await using helper = spawnHelperOf([program, nodeHelper()]);
    let pid = process.pid;
    while (pid === process.pid) pid = await parentOf(helper.spawner);
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8"))
      .toContain("spawn_helper_program.mjs");
  }
});

test.each(WRITTEN_IN)(
  "a helper in %s that is killed leaves nothing behind but the truth",
  async (writtenIn) => {
    await using helper = await helperInUse(writtenIn);
    const child = await helper.spawner(sleeper);
    const reading = textOf(child.stdout!);
    const stopped = async () => {
      process.kill(helper.pid, "SIGSTOP");
      return await helper.spawner(sleeper);
    };
    const unanswered = expect(stopped()).rejects.toMatchObject({
      code: "connection_lost",
      message: expect.stringContaining("whether it has started is not known"),
    });
    process.kill(helper.pid, "SIGKILL");
    expect(await child.status).toEqual({ code: null, signal: null });
    await unanswered;
    await reading;
    await untilGone([child.pid]);
    expect(child.groupAlive()).toBe(false);
    expect(child.kill("SIGTERM")).toBe(false);
    expect(await parentOf(helper.spawner)).toBe(process.pid);
    // And another one comes.
    let next = process.pid;
    while (next === process.pid) next = await parentOf(helper.spawner);
    expect(next).not.toBe(helper.pid);
  },
);

test("a server's log has it that its helper was lost, and not that it was closed", async () => {
  await using server = await startServer("node");
  const session = await server.connect();
  const parent = async () => Number(await session.$`echo $PPID`.text());
  let helper = server.pid;
  while (helper === server.pid) helper = await parent();
  const told = () => server.log().match(/^limpet: the process .*$/gm) ?? [];
  expect(told()).toEqual([]);
  process.kill(helper, "SIGKILL");
  await eventually(() => told().length > 0, () => `told: ${server.log()}`);
  while (helper === server.pid || !isAlive(helper)) helper = await parent();
  await session.close();
  await server.stop();
  expect(told()).toEqual([
    "limpet: the process that starts commands was killed, and with it what it " +
    "ran: how that ended is not known. Another one takes its place",
  ]);
});

test("a client hears that nobody knows, and no code", async () => {
  await using helper = await helperInUse();
  await using served = await serving({}, helper.spawner);
  const session = await served.connect();
  const child = session.spawn("sh", { args: ["-c", SLEEPER] });
  const pid = await child.pid;
  process.kill(helper.pid, "SIGKILL");
  await expect(child.status).rejects.toMatchObject({
    code: "connection_lost",
    exitCode: null,
    signal: null,
  });
  await untilGone([pid]);
  const ended = () =>
    served.events.find((event) => event.type === "command_ended");
  await eventually(() => ended() !== undefined, () => "it has ended");
  expect(ended()).toMatchObject({
    status: { success: false, code: null, signal: null, reason: null },
  });
  expect(await served.untilDisconnected(1)).toMatchObject([{
    code: "connection_lost",
    message: expect.stringContaining("How a command ended is not known"),
  }]);
  await session.close();
});

test("what becomes of a job is then unknown, and its session goes on", async () => {
  using at = place();
  await using helper = await helperInUse();
  await using served = await jobServer(at.jobs, {}, {
    spawner: helper.spawner,
  });
  const session = await served.connect({ jobs });
  const job = session.spawn(SLEEPER, DETACH);
  await job.pid;
  const id = job.jobId!;
  process.kill(helper.pid, "SIGKILL");
  await expect(job.status).rejects.toMatchObject({ code: "connection_lost" });
  expect(await session.jobs().list()).toMatchObject([
    { id, state: "unknown", status: null },
  ]);
  expect(await session.output("echo", { args: ["on"] }))
    .toMatchObject({ code: 0 });
  await session.close();
});

test("a helper ends with a server that is killed", async () => {
  await using server = await startServer("node");
  const session = await server.connect();
  let helper = server.pid;
  while (helper === server.pid) {
    helper = Number(await session.$`echo $PPID`.text());
  }
  expect(isAlive(helper)).toBe(true);
  process.kill(server.pid, "SIGKILL");
  await untilGone([helper, server.pid]);
  await session.close();
});

test("serve() by address takes one, as the README says", async () => {
  await using helper = spawnHelper();
  const { spawner } = helper;
  const token = "a token of the test alone";
  await using served = await serve("tcp://127.0.0.1:0", { token, spawner });
  await using session = await connect(served.address, { token });
  const parent = async () => Number(await session.$`echo $PPID`.text());
  let pid = process.pid;
  while (pid === process.pid) pid = await parent();
  expect(isAlive(pid)).toBe(true);
});

test("a working directory that was removed keeps no command from starting", async () => {
  const script = `
    const { mkdtempSync, rmdirSync } = await import("node:fs");
    const { spawnHelper } = await import(${DIST});
    const { spawner } = spawnHelper();
    const run = async () => {
      const child = await spawner({ line: "exit 3", env: {}, stdin: "null",
        stdout: "null", stderr: "null" });
      return (await child.status).code;
    };
    const folder = mkdtempSync("/tmp/limpet-test-");
    process.chdir(folder);
    rmdirSync(folder);
    const codes = new Set();
    for (let i = 0; i < 20; i++) codes.add(await run());
    console.log(...codes);
  `;
  expect(await runScript(script)).toBe("3\n");
});

test("a program without a place for pipes does not listen for its end again and again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "limpet-open-"));
  chmodSync(folder, 0o777);
  const script = `
    const { spawnHelper } = await import(${DIST});
    process.env.TMPDIR = ${JSON.stringify(folder)};
    const now = performance.now.bind(performance);
    let later = 0;
    performance.now = () => now() + later;
    const { spawner, close } = spawnHelper();
    const before = process.listenerCount("exit");
    for (let i = 0; i < 5; i++) {
      // It looks for one every ten seconds.
      later += 11_000;
      const child = await spawner({ line: "exit 0", env: {}, stdin: "null",
        stdout: "piped", stderr: "null" });
      await new Response(child.stdout).text();
    }
    console.log(process.listenerCount("exit") - before);
    await close();
  `;
  try {
    expect(await runScript(script)).toBe("0\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a helper does not keep a program from its end", async () => {
  const script = `
    const { spawnHelper } = await import(${DIST});
    const { spawner } = spawnHelper();
    const line = async (line) => {
      const child = await spawner({ line, env: {}, stdin: "null",
        stdout: "piped", stderr: "null" });
      const text = await new Response(child.stdout).text();
      await child.status;
      return Number(text);
    };
    let helper = process.pid;
    while (helper === process.pid) helper = await line("echo $PPID");
    // It ends when this has.
    const last = spawner({ line: "sleep 0.2", env: {}, stdin: "null",
      stdout: "null", stderr: "null" });
    last.then(({ status }) => status)
      .then(({ code }) => console.log(helper, code));
  `;
  const said = await runScript(script);
  expect(said).toMatch(/^\d+ 0\n$/);
  await untilGone([parseInt(said)]);
});

test("a program that waits for the end of its helper has it", async () => {
  const script = `
    const { spawnHelper } = await import(${DIST});
    const { spawner, close } = spawnHelper();
    for (let isUp = false; !isUp;) {
      const child = await spawner({ line: "echo $PPID", env: {}, stdin: "null",
        stdout: "piped", stderr: "null" });
      isUp = Number(await new Response(child.stdout).text()) !== process.pid;
      await child.status;
    }
    await close();
    console.log("closed");
  `;
  expect(await runScript(script)).toBe("closed\n");
});

/** What a program says that ends with code 0. */
async function runScript(script: string): Promise<string> {
  const child = spawn(program("node"), ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let said = "";
  for await (const text of child.stdout.setEncoding("utf8")) said += text;
  expect(await ended).toBe(0);
  return said;
}
