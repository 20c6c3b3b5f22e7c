import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import type { Arguments } from "../core/cli/args.ts";
import { jobsFolder } from "../core/cli/jobs_dir.ts";
import type { Reporter } from "../core/cli/report.ts";
import type { CliRuntime } from "../core/cli/runtime.ts";
import { tableOf } from "../core/cli/ps.ts";
import type { JobInfo } from "../core/jobs/client.ts";
import {
  binFolder,
  expectOwnWords,
  limpet,
  startLimpet,
  startShell,
  temporaryFolder,
} from "./support/cli.ts";
import { inProcess, limpetHere } from "./support/cli_in_process.ts";
import { ownFolder } from "./support/jobs.ts";
import { eventually } from "./support/leaks.ts";
import { untilGone } from "./support/processes.ts";
import { type Runtime, THIS_RUNTIME } from "./support/runtimes.ts";
import { PARTNER, startServer, useServer } from "./support/servers.ts";

const folder = temporaryFolder();

/** The folder of the one server that has its jobs there. */
function ofServer(directory: string): string {
  const [name] = readdirSync(directory);
  return join(directory, name);
}

/** Waits until a server has so many bytes of a job's stdout on its disk. */
async function untilSpooled(directory: string, id: string, bytes: number) {
  const path = join(ownFolder(ofServer(directory)), id, "stdout.0");
  const size = () => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  await eventually(() => size() >= bytes, () => `${path} has ${size()} bytes`);
}

/**
 * `exec` and `SUBCOMMAND ADDRESS …` of one server, in this process: that those are
 * programs too is seen where a server is killed.
 */
function useJobs(runtime: Runtime) {
  const directory = join(folder, runtime);
  mkdirSync(directory, { recursive: true });
  const server = useServer(runtime, ["--jobs-dir", directory]);
  const run = (words: readonly string[], input = "") => {
    const [name, ...rest] = words;
    const flags = rest.filter((word) => word.startsWith("-"));
    const others = rest.filter((word) => !word.startsWith("-"));
    return inProcess(
      [name, ...flags, server().address, ...others],
      { LIMPET_TOKEN_FILE: server().tokenFile },
      input,
    );
  };
  const exec = (flags: readonly string[], line: string) =>
    limpetHere(["exec", ...flags, server().address, "-c", line], {
      env: { LIMPET_TOKEN_FILE: server().tokenFile },
    });
  return { server, directory, run, exec };
}

describe(`jobs on ${THIS_RUNTIME}, serve on ${PARTNER}`, () => {
  const runtime = PARTNER;
  const { server, directory, run, exec } = useJobs(runtime);

  test("from their start to their end", async () => {
    const go = join(folder, `${runtime}-go`);
    const line = `echo one; while ! [ -e ${go} ]; do sleep 0.05; done; ` +
      "echo two >&2; exit 3";
    const started = await exec(["-d"], line);
    expect(started).toMatchObject({ code: 0, stderr: "" });
    expect(started.stdout).toMatch(/^[0-9a-z]{12}\n$/);
    const id = started.stdout.trim();
    await untilSpooled(directory, id, "one\n".length);
    const listed = await run(["ps"]);
    expect(listed.stdout).toMatch(/^JOB +COMMAND +STARTED +STATUS +OUTPUT\n/);
    expect(listed.stdout).toContain(`${id}  echo one; while`);
    expect(listed.stdout).toMatch(/ago +Running +4 B\n$/);
    expect(await run(["logs", id])).toMatchObject({
      code: 0,
      stdout: "one\n",
      stderr: "",
    });
    const refused = await run(["rm", id]);
    expect(refused).toMatchObject({ code: 125, stdout: "" });
    expect(refused.stderr).toContain(`Job "${id}" runs`);
    const waiting = run(["wait", id]);
    const following = run(["logs", "-f", "--stdout-offset=2", id]);
    const attached = run(["attach", id]);
    await exec([], `touch ${go}`);
    expect(await waiting).toMatchObject({ code: 3, stdout: "", stderr: "" });
    expect(await following).toMatchObject({
      code: 0,
      stdout: "e\n",
      stderr: "two\n",
    });
    expect(await attached).toMatchObject({
      code: 3,
      stdout: "one\n",
      stderr: "two\n",
    });
    expect((await run(["ps"])).stdout).not.toContain(id);
    expect((await run(["ps", "-a"])).stdout).toContain("Exited (3)");
    const [job] = JSON.parse((await run(["ps", "-a", "--output=json"])).stdout)
      .filter((each: JobInfo) => each.id === id);
    expect(job).toMatchObject({ state: "ended", status: { code: 3 } });
    expect(await run(["rm", id])).toMatchObject({ code: 0, stdout: "" });
    const gone = await run(["wait", id]);
    expect(gone).toMatchObject({ code: 125, stdout: "" });
    expect(gone.stderr).toBe(`limpet: There is no job "${id}"\n`);
  });

  test("JSON is of characters that a terminal only shows", async () => {
    const said =
      "\u009b31m\u007f\u0085\u061c\u200e\u202e\u2066\ufeffü\ud83d\udc1a";
    const flags = ["--job-id=shown", "--on-disconnect=detach"];
    const line = `: '${said}'; echo '${said}'`;
    const ran = await exec([...flags, "--output=json"], line);
    const listed = await run(["ps", "-a", "--output=json"]);
    for (const { stdout } of [ran, listed]) {
      expect(stdout).not.toMatch(
        // deno-lint-ignore no-control-regex -- these are what it is about
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/,
      );
      expect(stdout).toContain("\\u009b31m");
      expect(stdout).toContain("\ufeffü\ud83d\udc1a");
    }
    expect(JSON.parse(ran.stdout)).toMatchObject({
      command: { line },
      stdout: `${said}\n`,
    });
    const [job] = JSON.parse(listed.stdout)
      .filter((each: JobInfo) => each.id === "shown");
    expect(job.argv).toEqual([line]);
  });

  test("a name starts one, and tells others apart", async () => {
    const log = join(folder, `${runtime}-log`);
    const line = `echo x >>${log}; echo done`;
    const flags = ["--job-id=deploy", "--on-disconnect=detach"];
    const all = await Promise.all(
      Array.from({ length: 4 }, () => exec(flags, line)),
    );
    for (const each of all) {
      expect(each).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
    }
    expect(readFileSync(log, "utf8")).toBe("x\n");
    const other = await exec(flags, "echo other");
    expect(other.code).toBe(125);
    expect(other.stderr).toContain("another request: they differ in line");
    expect(await run(["rm", "deploy"])).toMatchObject({ code: 0 });
  });

  test("stdin that was kept open is fed later; kill ends it all", async () => {
    expect((await exec(["-di", "--job-id=cat"], "exec cat")).stdout)
      .toBe("cat\n");
    expect(await run(["attach", "-i", "cat"], "hello"))
      .toMatchObject({ code: 0, stdout: "hello", stderr: "" });
    await exec(["-d", "--job-id=deaf"], "trap '' TERM; echo deaf; sleep 100");
    await untilSpooled(directory, "deaf", "deaf\n".length);
    await exec(["-d", "--job-id=usr"], "exec sleep 100");
    expect(await run(["kill", "--kill-after=100ms", "deaf"]))
      .toMatchObject({ code: 0, stdout: "", stderr: "" });
    const killed = await run(["wait", "deaf"]);
    expect(killed.code).toBe(137);
    expect(await run(["kill", "-susr1", "usr"])).toMatchObject({ code: 0 });
    expect(await run(["wait", "usr"])).toMatchObject({ code: 138 });
    expect(await exec(["-d", "--job-id=long"], "exec sleep 100"))
      .toMatchObject({ code: 0 });
    expect(await run(["rm", "-f", "cat", "deaf", "usr", "long"]))
      .toMatchObject({ code: 0, stderr: "" });
    expect((await run(["ps", "-a"])).stdout).not.toMatch(
      /^(cat|deaf|usr|long) /m,
    );
  });

  test("the lines of a prompt are listed as they were written", async () => {
    const written = ["cd /tmp", "printf %s a1b2 >&2 && pwd"];
    const env = { LIMPET_TOKEN_FILE: server().tokenFile };
    const input = `${written.join("\n")}\n`;
    expect(await limpet(["shell", server().address], { env, input }))
      .toMatchObject({ code: 0, stdout: "/tmp\n", stderr: "a1b2" });
    const { stdout } = await run(["ps", "-a"]);
    const listed = stdout.split("\n").map((line) => line.split(/ {2,}/)[1]);
    expect(listed).toEqual(expect.arrayContaining(written));
  });

  test("a client that is killed leaves the job, one that attaches goes on", async () => {
    const go = join(folder, `${runtime}-go2`);
    const line =
      `echo one; while ! [ -e ${go} ]; do sleep 0.05; done; echo two`;
    const client = startLimpet(
      ["exec", "--job-id=left", "--on-disconnect=keep", server().address]
        .concat(
          ["-c", line],
        ),
      { env: { LIMPET_TOKEN_FILE: server().tokenFile } },
    );
    await client.says("one\n");
    client.kill("SIGKILL");
    await client.outcome;
    const attached = run(["attach", "left"]);
    await exec([], `touch ${go}`);
    expect(await attached).toMatchObject({ code: 0, stdout: "one\ntwo\n" });
    expect(await run(["rm", "left"])).toMatchObject({ code: 0 });
  });

  test.each([
    ["logs", "logs -f ADDRESS JOB"],
    ["attach", "attach ADDRESS JOB"],
    ["exec", "exec --on-disconnect=keep --job-id=JOB ADDRESS -- yes"],
  ])("%s ends with whoever reads it, and the job goes on", async (...each) => {
    const [name, words] = each;
    const id = `read-by-${name}`;
    if (name !== "exec") {
      const keep = ["-d", "--on-disconnect=keep", `--job-id=${id}`];
      expect(await exec(keep, "exec yes")).toMatchObject({ code: 0 });
    }
    const { address } = server();
    const own = words.replace("ADDRESS", address).replace("JOB", id);
    const line = `{ limpet ${own}; echo "status $?" >&2; } | head -c 20000000`;
    const env = { LIMPET_TOKEN_FILE: server().tokenFile };
    const piped = await startShell(line, binFolder(folder), { env }).outcome;
    expect(piped.bytes.byteLength).toBe(20_000_000);
    const told = name === "logs"
      ? ""
      : `limpet: nobody takes the rest of the output: job ${id} goes on\n`;
    expect(piped.stderr).toBe(`${told}status 141\n`);
    const listed = async (): Promise<JobInfo> =>
      JSON.parse((await run(["ps", "--output=json"])).stdout)
        .find((each: JobInfo) => each.id === id);
    let job = await listed();
    while (job.readers > 0) job = await listed();
    expect(job).toMatchObject({ state: "running", status: null });
    expect(await run(["rm", "-f", id])).toMatchObject({ code: 0, stderr: "" });
  });

  test("who reads a part of a job that has ended is not told that it goes on", async () => {
    const detached = ["-d", "--job-id=over"];
    expect(await exec(detached, "seq 1000000")).toMatchObject({ code: 0 });
    expect(await run(["wait", "over"])).toMatchObject({ code: 0 });
    const line = `limpet attach ${server().address} over | head -c 10`;
    const env = { LIMPET_TOKEN_FILE: server().tokenFile };
    expect(await startShell(line, binFolder(folder), { env }).outcome)
      .toMatchObject({ stdout: "1\n2\n3\n4\n5\n", stderr: "" });
    expect(await run(["rm", "over"])).toMatchObject({ code: 0, stderr: "" });
  });
});

test("a server that was killed finds its jobs, and says what it does not know", async () => {
  const directory = join(folder, "killed");
  const flags = ["--jobs-dir", directory];
  const one = await startServer(THIS_RUNTIME, flags);
  await using session = await one.connect();
  const env = { LIMPET_TOKEN_FILE: one.tokenFile };
  const start = (id: string, line: string) =>
    limpet(["exec", "-d", "--job-id", id, one.address, "-c", line], { env });
  await start("short", "echo out; exit 4");
  await start("long", "echo begun; exec sleep 100");
  await untilSpooled(directory, "long", "begun\n".length);
  await limpet(["wait", one.address, "short"], { env });
  const { stdout } = await limpet(
    ["ps", "--output=json", one.address],
    { env },
  );
  const [{ pid }] = JSON.parse(stdout);
  await eventually(
    () =>
      /"endedAt":\d/.test(
        readFileSync(
          join(ownFolder(ofServer(directory)), "short", "record.json"),
          "utf8",
        ),
      ),
    () => "its end is written down",
  );
  process.kill(one.pid, "SIGKILL");
  await untilGone([one.pid]);
  await session.closed;
  await using two = await startServer(THIS_RUNTIME, flags);
  const again = { env: { LIMPET_TOKEN_FILE: two.tokenFile } };
  const listed = await limpet(["ps", "-a", two.address], again);
  expect(listed.stdout).toMatch(/short .* Exited \(4\)/);
  expect(listed.stdout).toMatch(/long .* Unknown: lost by its server/);
  expect(await limpet(["logs", two.address, "short"], again))
    .toMatchObject({ code: 0, stdout: "out\n" });
  for (const name of ["wait", "attach"]) {
    const unknown = await limpet([name, two.address, "long"], again);
    expect(unknown).toMatchObject({
      code: 255,
      stdout: name === "attach" ? "begun\n" : "",
    });
    expectOwnWords(unknown.stderr);
    expect(unknown.stderr).toContain("is unknown: the server restarted");
  }
  // Nobody ends what the killed one left: that is what is not known.
  process.kill(-pid, "SIGKILL");
  await one.stop();
});

test.each(["--max-commands-per-identity", "--max-total-commands"])(
  "%s counts jobs whose clients have gone",
  async (flag) => {
    const jobsDir = ["--jobs-dir", join(folder, flag.slice(2))];
    await using server = await startServer(
      THIS_RUNTIME,
      [...jobsDir, "--max-commands=1", `${flag}=2`],
    );
    const detach = (line: string) =>
      limpetHere(["exec", "-d", server.address, "-c", line], {
        env: { LIMPET_TOKEN_FILE: server.tokenFile },
      });
    const line = "exec sleep 1000";
    expect(await detach(line)).toMatchObject({ code: 0, stderr: "" });
    expect(await detach(line)).toMatchObject({ code: 0, stderr: "" });
    const refused = await detach(line);
    expect(refused).toMatchObject({ code: 125, stdout: "" });
    expect(refused.stderr).toContain("Server runs 2 commands for ");
    expect(refused.stderr).toContain(`(${flag}) allows`);
  },
);

test("a folder that is named and cannot be used is told at the start", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const starting = startServer(THIS_RUNTIME, ["--jobs-dir", `${file}/jobs`]);
  await expect(starting).rejects.toThrow(/cannot use its folder of jobs/);
  await using off = await startServer(THIS_RUNTIME, ["--jobs-dir", "off"]);
  const refused = await limpetHere(["exec", "-d", off.address, "--", "true"], {
    env: { LIMPET_TOKEN_FILE: off.tokenFile },
  });
  expect(refused.code).toBe(125);
  expect(refused.stderr).toContain("keeps no jobs");
});

test("the table says what there is to say, and obeys nothing", () => {
  const now = 1_800_000_000_000;
  const job: JobInfo = {
    id: "a",
    state: "ended",
    onDisconnect: "detach",
    argv: ["printf", "\x1b[2J", "two words"],
    shell: false,
    startedAt: now - 7_200_000,
    endedAt: now - 61_000,
    pid: 1,
    status: {
      code: null,
      signal: "SIGKILL",
      reason: "timed_out",
      success: false,
    },
    stdout: { bytes: 1_536, dropped: 0 },
    stderr: { bytes: 512, dropped: 0 },
    stdin: false,
    readers: 0,
    problem: "No space left on device",
  };
  const [, line] = tableOf([job], now).split("\n");
  expect(line).toBe(
    'a    printf "\\u001b[2J" "two words"  2 hours ago  ' +
      "Killed (SIGKILL) 1 minute ago, timed_out (disk)  2.0 KiB",
  );
  const long = { ...job, argv: ["find", "/a-long-path".repeat(9), "-print"] };
  expect(tableOf([long], now)).toContain(
    `a    ${long.argv.join(" ")}  2 hours`,
  );
  const narrow = tableOf([long], now, 100).split("\n");
  expect(narrow[1]).toMatch(/^a +find [^ ]+… {2}2 hours ago {2}Killed /);
  expect(narrow.map(({ length }) => length)).toEqual([99, 100, 0]);
  const later = { ...job, startedAt: now + 5_000, state: "running" };
  expect(
    tableOf([{
      ...later,
      status: null,
      endedAt: null,
      stdout: null,
      stderr: null,
    }], now),
  ).toMatch(/0 seconds ago +Running \(disk\) +-\n$/);
});

test("a folder that others can change is not used for jobs", async () => {
  const directory = join(folder, "open");
  mkdirSync(directory);
  chmodSync(directory, 0o777);
  const starting = startServer(THIS_RUNTIME, ["--jobs-dir", directory]);
  await expect(starting).rejects.toThrow(
    /Cannot keep jobs in .*can be changed by others .*chmod go-w/,
  );
  // One that nobody named is left alone, and the server serves.
  const env = { STATE_DIRECTORY: directory, XDG_STATE_HOME: "" };
  await using served = await startServer(THIS_RUNTIME, [], env);
  const refused = await limpetHere(
    ["exec", "-d", served.address, "--", "true"],
    {
      env: { LIMPET_TOKEN_FILE: served.tokenFile },
    },
  );
  expect(refused.stderr).toContain("keeps no jobs");
});

test("no two addresses have one folder for their jobs", async () => {
  const runtime = {
    env: () => undefined,
    files: {
      realPath: () => Promise.resolve(null),
      status: () => Promise.resolve(null),
    },
  } as unknown as CliRuntime;
  const args = { value: () => "/jobs" } as unknown as Arguments;
  const report = {} as Reporter;
  const addresses = ["unix:/a/b", "unix:/a_b", "unix:/A/b", "tcp://h:1", ""];
  const long = ["x", "y"].map((end) => `unix:/${"l".repeat(200)}${end}`);
  const paths = await Promise.all(
    [...addresses, ...long].map((each) =>
      jobsFolder(runtime, args, each, report)
    ),
  );
  const lower = paths.map((each) => each?.path.toLowerCase());
  expect(new Set(lower).size).toBe(addresses.length + long.length);
  expect(lower[3]).toMatch(/^\/jobs\/tcp_h_1-[0-9a-f]{16}$/);
});
