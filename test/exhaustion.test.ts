import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, closeSync, mkdirSync, openSync } from "node:fs";
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { connect, type Session } from "../core/client.ts";
import { spawnError } from "../core/adapter/os_error.ts";
import { LimpetError } from "../core/errors.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import { environment, temporaryFolder } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { untilGone, untilResting } from "./support/processes.ts";
import { cli, DENO_SERVE_FLAGS, THIS_RUNTIME } from "./support/runtimes.ts";
import { startServer } from "./support/servers.ts";
import { serving, TOKEN } from "./support/serving.ts";

const folder = temporaryFolder();
const isRoot = process.getuid?.() === 0;
/** A user that runs nothing, so that only what a server does is counted. */
const NOBODY = 64_123;

/**
 * Sets a soft limit of a process that runs; the hard one stays, and is where
 * "max" leads back to. Words before it make who may do that.
 */
function limit(
  pid: number,
  name: "nofile" | "nproc" | "data",
  value: number | "max",
  prefix: readonly string[] = [],
): void {
  const row = {
    nofile: "Max open files",
    nproc: "Max processes",
    data: "Max data size",
  }[name];
  const limits = readFileSync(`/proc/${pid}/limits`, "latin1");
  const hard = new RegExp(`^${row} +\\w+ +(\\w+)`, "m").exec(limits)?.[1];
  const soft = value === "max" ? hard : value;
  const [file, ...args] = [...prefix, "prlimit", `--pid=${pid}`];
  execFileSync(file, [...args, `--${name}=${soft}:`]);
}

function descriptorsOf(pid: number): Set<number> {
  return new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
}

/** Leaves a process so many descriptors to open, and no more. */
function leaveDescriptors(pid: number, count: number): void {
  const open = descriptorsOf(pid);
  let end = 0;
  // A descriptor gets the lowest number that is free, and the limit is on that.
  for (let left = count; left > 0; end++) if (!open.has(end)) left--;
  limit(pid, "nofile", end);
}

/** A command that is there before the trouble and has to be there after it. */
class Bystander {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(session: Session) {
    const child = session.spawn("cat", { stdin: "piped", stderr: "null" });
    this.#writer = child.stdin.getWriter();
    this.#reader = child.stdout.getReader();
  }

  async check(): Promise<void> {
    await this.#writer.write(new TextEncoder().encode("still here\n"));
    const { value } = await this.#reader.read();
    expect(new TextDecoder().decode(value)).toBe("still here\n");
  }
}

/** What a command that cannot start comes to; null if it ran. */
async function refusal(session: Session, args: string[] = []) {
  try {
    await session.output("true", { args });
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(LimpetError);
    const { code, message } = error as LimpetError;
    return `${code}: ${message}`;
  }
}

interface Served {
  readonly pid: number;
  /** What it says on stderr, where that can be read. */
  log(): string;
  connect(): Promise<Session>;
  /** SIGTERM; resolves to its exit code. */
  stop(): Promise<number | null>;
}

/** `limpet serve` at a Unix socket, behind whatever words are to start it. */
async function serveAtSocket(
  name: string,
  { prefix = [], program = null, env = {}, flags = [], stderr = "pipe" }: {
    prefix?: string[];
    /** In place of the command line's own module. */
    program?: string | null;
    env?: Record<string, string>;
    flags?: string[];
    stderr?: "pipe" | number;
  },
): Promise<Served> {
  const home = join(folder, name);
  mkdirSync(home);
  // Short, for a socket's path has 108 bytes at most.
  const path = join(home, "s");
  writeFileSync(join(home, "token"), TOKEN, { mode: 0o600 });
  const asNobody = prefix[0] === "setpriv";
  if (asNobody) {
    for (const each of [home, join(home, "token")]) {
      chownSync(each, NOBODY, NOBODY);
    }
    chmodSync(folder, 0o755);
  }
  const [file, ...args] = [
    ...prefix,
    // Of what Deno has in its own cache nothing is another user's.
    ...cli(THIS_RUNTIME, [...DENO_SERVE_FLAGS, "--node-modules-dir=manual"])
      .map((word, index, { length }) =>
        program !== null && index === length - 1 ? program : word
      ),
    "serve",
    `unix:${path}`,
    "--drain=0s",
    `--token-file=${join(home, "token")}`,
    ...flags,
  ];
  const child = spawn(file, args, {
    cwd: home,
    env: {
      ...environment({ HOME: home }),
      ...(asNobody ? { DENO_DIR: join(home, "deno") } : {}),
      ...env,
    },
    stdio: ["ignore", "ignore", stderr],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => log += text);
  const ended = new Promise<number | null>((resolve) =>
    child.once("exit", (code) => resolve(code))
  );
  const dial = () => adapter.dial(parseAddress(`unix:${path}`));
  const ready = async () => {
    try {
      await using _ = await connect(dial, { token: TOKEN });
      return true;
    } catch {
      return false;
    }
  };
  const patience = performance.now() + 60_000;
  while (!(await ready())) {
    if (child.exitCode !== null || performance.now() > patience) {
      throw new Error(`It does not listen (${child.exitCode}): ${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    pid: child.pid!,
    log: () => log,
    connect: () => connect(dial, { token: TOKEN }),
    stop: () => {
      process.kill(child.pid!, "SIGTERM");
      return ended;
    },
  };
}

// ENOMEM can only be told to be: a limit of memory under which no process starts
// (RLIMIT_AS, RLIMIT_DATA) ends the engines of Node and Bun themselves first.
test.each(["EAGAIN", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC"])(
  "%s is one command's trouble, and will pass",
  async (code) => {
    let short = true;
    await using served = await serving(
      {},
      (command) =>
        short
          ? Promise.reject(spawnError("true", { code, cause: undefined }))
          : adapter.spawner(command),
    );
    await using session = await served.connect();
    expect(await refusal(session)).toMatch(
      new RegExp(`^resource_exhausted: Cannot start "true": .+\\(${code}\\)$`),
    );
    short = false;
    expect(await refusal(session)).toBeNull();
  },
);

describe(`serve on ${THIS_RUNTIME}`, () => {
  test("without descriptors for a command, or for a connection", async () => {
    await using server = await startServer(THIS_RUNTIME);
    await using session = await server.connect();
    const bystander = new Bystander(session);
    expect(await refusal(session)).toBeNull();
    await bystander.check();
    const before = descriptorsOf(server.pid).size;
    leaveDescriptors(server.pid, 4);
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => refusal(session)),
    );
    for (const outcome of outcomes) {
      if (outcome === null) continue;
      expect(outcome).toBe(
        'resource_exhausted: Cannot start "true": too many open files (EMFILE)',
      );
    }
    expect(outcomes).toContain(
      'resource_exhausted: Cannot start "true": too many open files (EMFILE)',
    );
    await bystander.check();
    await eventually(
      () => descriptorsOf(server.pid).size <= before,
      () => `nothing is left of them: ${descriptorsOf(server.pid).size}`,
    );

    // More connections than it can take: nobody but they has to know.
    const dials = await Promise.all(
      Array.from({ length: 12 }, () => server.dial()),
    );
    await untilResting([server.pid]);
    await bystander.check();
    for (const { readable, writable } of dials) {
      await Promise.allSettled([readable.cancel(), writable.abort()]);
    }
    limit(server.pid, "nofile", "max");
    await using after = await server.connect();
    expect(await refusal(after)).toBeNull();
    expect(await refusal(session)).toBeNull();
    await bystander.check();
  });

  test.each([1, 2, 3])(
    "with %d descriptors for its first command",
    async (left) => {
      await using server = await startServer(THIS_RUNTIME);
      await using session = await server.connect();
      await untilResting([server.pid]);
      const before = descriptorsOf(server.pid).size;
      leaveDescriptors(server.pid, left);
      for (let each = 0; each < 3; each++) {
        expect(await refusal(session)).toContain("(EMFILE)");
      }
      await eventually(
        () => descriptorsOf(server.pid).size <= before,
        () => `nothing is left of it: ${descriptorsOf(server.pid).size}`,
      );
      limit(server.pid, "nofile", "max");
      expect(await refusal(session)).toBeNull();
    },
  );

  test("without processes", async () => {
    // The limit does not bind root, who still has to be able to read the files.
    const prefix = isRoot
      ? [
        "setpriv",
        `--reuid=${NOBODY}`,
        `--regid=${NOBODY}`,
        "--clear-groups",
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
        "--bounding-set=-all,+dac_override",
      ]
      : ["env"];
    // Bun's engine aborts when it can start no thread to compile or to collect
    // garbage, which is nothing that a program can do anything about.
    const env: Record<string, string> = THIS_RUNTIME === "bun"
      ? { BUN_JSC_useConcurrentJIT: "0", BUN_JSC_useConcurrentGC: "0" }
      : {};
    const server = await serveAtSocket("processes", { prefix, env });
    await using session = await server.connect();
    const bystander = new Bystander(session);
    expect(await refusal(session)).toBeNull();
    await bystander.check();
    limit(server.pid, "nproc", 1, prefix);
    const outcomes = await Promise.all(
      Array.from({ length: 5 }, () => refusal(session)),
    );
    for (const outcome of outcomes) {
      expect(outcome).toBe(
        'resource_exhausted: Cannot start "true": resource temporarily ' +
          "unavailable (EAGAIN)",
      );
    }
    // Nor can it start threads; whoever comes is served all the same.
    await using other = await server.connect();
    expect(await refusal(other)).toContain("resource_exhausted");
    await bystander.check();
    limit(server.pid, "nproc", "max", prefix);
    expect(await refusal(session), server.log()).toBeNull();
    expect(await refusal(other)).toBeNull();
    await session.close();
    await other.close();
    expect(await server.stop()).toBe(0);
  });

  test("without memory beyond what it may hold for clients", async () => {
    const config = join(folder, "server.json");
    const maxTotalBufferedBytes = 8 * 1_048_576;
    const limits = { maxTotalBufferedBytes };
    writeFileSync(config, JSON.stringify({ limits }), { mode: 0o600 });
    const server = await serveAtSocket("memory", {
      flags: [`--config=${config}`],
    });
    await using session = await server.connect();
    const bystander = new Bystander(session);
    expect(await refusal(session)).toBeNull();
    await bystander.check();
    const status = readFileSync(`/proc/${server.pid}/status`, "latin1");
    const used = Number(/^VmData:\s+(\d+)/m.exec(status)?.[1]) * 1_024;
    // What is held may be twice its bytes, and each command is objects as well.
    limit(server.pid, "data", used + 8 * maxTotalBufferedBytes);
    const flood = await server.connect();
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, () => {
        // It writes for ever, and nobody reads.
        const child = flood.spawn("yes");
        child.status.catch(() => {});
        return child.pid.then(() => null, (error) => String(error.message));
      }),
    );
    const refused = outcomes.filter((outcome) => outcome !== null);
    // 393,216 bytes each, and somewhat less is there beside the bystander.
    expect(refused).toHaveLength(60 - 19);
    expect(refused[0]).toContain("limit maxTotalBufferedBytes allows");
    await bystander.check();
    await flood.close();
    // Their end may take a moment.
    let outcome: string | null = "";
    while (outcome !== null) outcome = await refusal(session);
    await bystander.check();
    await session.close();
    expect(await server.stop()).toBe(0);
  });

  test("with an error in it that nobody catches", async () => {
    // What no test can bring about from outside comes with the program.
    const bug = join(folder, "bug.mjs");
    const main = cli(THIS_RUNTIME).at(-1)!;
    writeFileSync(
      bug,
      `import process from "node:process";
      process.on("SIGUSR2", () => {
        setTimeout(() => { throw new Error("a bug, thrown"); });
        Promise.reject(new Error("a bug, rejected"));
        Promise.reject("a bug without a stack");
      });
      await import(${JSON.stringify(`file://${main}`)});`,
    );
    const server = await serveAtSocket("bug", {
      program: bug,
      prefix: ["prlimit", "--data=1073741824"],
    });
    await using session = await server.connect();
    const bystander = new Bystander(session);
    await bystander.check();
    process.kill(server.pid, "SIGUSR2");
    for (const how of [", thrown", ", rejected", " without a stack"]) {
      await eventually(
        () => server.log().includes(`a bug${how}`),
        () => `it is told: ${server.log()}`,
      );
    }
    expect(server.log()).toContain("limpet: internal error, please report it");
    // By the way: less memory than the 2 GiB that it would let clients fill.
    // Deno lets nobody look there who is not allowed everything.
    expect(server.log().includes("1,024 MiB is all that its own limit"))
      .toBe(THIS_RUNTIME !== "deno");
    await bystander.check();
    expect(await refusal(session)).toBeNull();
    await session.close();
    expect(await server.stop()).toBe(0);
  });

  test("without a word to be written on stderr", async () => {
    const full = openSync("/dev/full", "w");
    const server = await serveAtSocket("full", { flags: ["-v"], stderr: full });
    closeSync(full);
    for (let i = 0; i < 3; i++) {
      await using session = await server.connect();
      expect(await refusal(session)).toBeNull();
    }
    expect(await server.stop()).toBe(0);
  });

  test("with nobody who reads its stderr any more", async () => {
    const server = await serveAtSocket("closed", {
      prefix: ["sh", "-c", 'exec 2>&-; exec "$@"', "sh"],
      flags: ["-v"],
    });
    for (let i = 0; i < 3; i++) {
      await using session = await server.connect();
      expect(await refusal(session)).toBeNull();
    }
    expect(await server.stop()).toBe(0);
  });
});

describe.runIf(isRoot)(`serve on ${THIS_RUNTIME}, on a full disk`, () => {
  test.each([3, 60])("with room for %i files", async (inodes) => {
    const disk = join(folder, `disk${inodes}`);
    mkdirSync(disk);
    const options = `size=64k,nr_inodes=${inodes},mode=1777`;
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "limpet", disk]);
    onTestFinished(() => {
      execFileSync("umount", ["--lazy", disk]);
    });
    const server = await serveAtSocket(`disk-server${inodes}`, {
      env: { TMPDIR: disk },
    });
    await using session = await server.connect();
    const bystander = new Bystander(session);
    await bystander.check();
    const { stdout, code } = await session.output(
      `dd if=/dev/zero of=${disk}/big bs=1k 2>/dev/null; echo $?`,
      { shell: true },
    );
    // It is full now, for whoever runs there, and cleaning up is possible.
    expect([new TextDecoder().decode(stdout), code]).toEqual(["1\n", 0]);
    for (let i = 0; i < 40; i++) expect(await refusal(session)).toBeNull();
    rmSync(join(disk, "big"), { force: true });
    await bystander.check();
    await session.close();
    expect(await server.stop()).toBe(0);
    expect(readdirSync(disk)).toEqual([]);
  });
});

// The other two have pipes of their own that are not in any folder.
if (THIS_RUNTIME === "node") {
  const mounted = (options: string) => [
    "unshare",
    "--mount",
    "sh",
    "-c",
    `mount -t tmpfs -o ${options} limpet /dev/shm && exec "$@"`,
    "sh",
  ];
  const places: [place: string, what: string, prefix: string[]][] = [
    ["/dev/shm", "is as usual", []],
  ];
  if (isRoot) {
    places.push(
      ["/tmp", "may not be written to", mounted("ro")],
      // Anybody could exchange our folder there.
      ["/tmp", "is everybody's", mounted("mode=777")],
      // For the mount and our folder itself.
      ["/tmp", "has no room", mounted("mode=1777,nr_inodes=2")],
    );
  }
  test.each(places)(
    "named pipes are in %s where /dev/shm %s",
    async (place, what, prefix) => {
      const server = await serveAtSocket(`at-${what.split(" ")[1]}`, {
        env: { TMPDIR: "/tmp" },
        prefix,
      });
      await using session = await server.connect();
      expect(await refusal(session)).toBeNull();
      const opened = readdirSync(`/proc/${server.pid}/fd`)
        .map((fd) => readlinkSync(`/proc/${server.pid}/fd/${fd}`))
        .filter((path) => path.endsWith("/alive"));
      expect(opened).toEqual([
        expect.stringMatching(`^${place}/limpet-pipes-\\w+/alive$`),
      ]);
      expect(await server.stop()).toBe(0);
      expect(readdirSync(place)).not.toContain(basename(dirname(opened[0])));
    },
  );

  test("named pipes are in no folder that others may exchange", async () => {
    const open = join(folder, "everybodys");
    mkdirSync(open);
    chmodSync(open, 0o777);
    const server = await serveAtSocket("open", { env: { TMPDIR: open } });
    await using session = await server.connect();
    expect(await refusal(session)).toBeNull();
    expect(readdirSync(open)).toEqual([]);
    expect(await server.stop()).toBe(0);
  });

  test("named pipes of a server that was killed go with the next, others' do not", async () => {
    const disk = join(folder, "pipes");
    mkdirSync(disk);
    const runs = async (name: string) => {
      const server = await serveAtSocket(name, { env: { TMPDIR: disk } });
      await using session = await server.connect();
      expect(await refusal(session)).toBeNull();
      return server;
    };
    const killed = await runs("killed");
    const [dead] = readdirSync(disk);
    process.kill(killed.pid, "SIGKILL");
    await untilGone([killed.pid]);
    const living = await runs("living");
    const young = readdirSync(disk);
    expect(young).toHaveLength(2);
    // What somebody lays there for us to follow, or to take for ours.
    const precious = join(folder, "precious");
    mkdirSync(precious, { mode: 0o700 });
    execFileSync("mkfifo", [join(precious, "alive")]);
    symlinkSync(precious, join(disk, "limpet-pipes-link00"));
    mkdirSync(join(disk, "limpet-pipes-open00"));
    chmodSync(join(disk, "limpet-pipes-open00"), 0o777);
    execFileSync("mkfifo", [join(disk, "limpet-pipes-open00", "alive")]);
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const name of [...young, "limpet-pipes-open00"]) {
      utimesSync(join(disk, name), longAgo, longAgo);
    }
    const next = await runs("next");
    const left = readdirSync(disk);
    expect(left).not.toContain(dead);
    expect(left).toEqual(expect.arrayContaining([
      ...young.filter((name) => name !== dead),
      "limpet-pipes-link00",
      "limpet-pipes-open00",
    ]));
    expect(readdirSync(precious)).toEqual(["alive"]);
    for (const server of [living, next]) expect(await server.stop()).toBe(0);
    expect(readdirSync(disk).sort()).toEqual([
      "limpet-pipes-link00",
      "limpet-pipes-open00",
    ]);
  });
}
