import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import {
  expectOwnWords,
  quoted,
  type Running,
  start,
  startLimpet,
  temporaryFolder,
} from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { eventually } from "./support/leaks.ts";
import { childrenOf } from "./support/proc.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { cli, THIS_RUNTIME } from "./support/runtimes.ts";
import { TOKEN } from "./support/serving.ts";

const folder = temporaryFolder();
const env = { LIMPET_TOKEN: TOKEN };
const STUBBORN = "trap 'echo asked' TERM; echo $$ ready; " +
  "while :; do sleep 1000 & wait; done";

/** Of our own words: what follows `limpet: stopping: `. */
const stopping = (running: Running) =>
  Array.from(
    running.stderr().matchAll(/^limpet: stopping: (.*)$/gm),
    (m) => m[1],
  );

async function serve(...flags: string[]) {
  const args = ["serve", "tcp://127.0.0.1:0", ...flags];
  const running = startLimpet(args, { env });
  await running.complains("listening on");
  const address = /listening on (tcp:\/\/[^\s,]+)/.exec(running.stderr())![1];
  return { running, address };
}

describe(`SIGTERM to serve on ${THIS_RUNTIME}`, () => {
  test("a command comes to its end, and exec says what is going on", async () => {
    const { running, address } = await serve();
    const exec = startLimpet(
      ["exec", "-i", address, "-c", "echo ready; cat; exit 3"],
      { env, input: "pipe" },
    );
    const json = startLimpet(
      ["exec", "-i", "--output=json", address, "-c", "cat; exit 4"],
      { env, input: "pipe" },
    );
    await exec.says("ready");
    await eventually(
      () => childrenOf(running.pid).length === 2,
      () => `both run: ${childrenOf(running.pid)}`,
    );
    running.kill("SIGTERM");
    await exec.complains(
      "the server is going down: the command has up to 30 s",
    );
    const late = await limpetHere(["exec", address, "--", "true"], { env });
    expect(late.code).toBe(255);
    expect(late.stderr).toContain("connection refused");
    for (const each of [exec, json]) each.child.stdin!.end("all of it");
    expect(await exec.outcome).toMatchObject({
      code: 3,
      stdout: "ready\nall of it",
      stderr: "limpet: the server is going down: the command has up to 30 s\n",
    });
    const { code, stdout } = await json.outcome;
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({
      outcome: "exited",
      stdout: "all of it",
      reason: null,
    });
    expect((await running.outcome).code).toBe(0);
    expectOwnWords(running.stderr());
    expect(stopping(running)).toEqual([
      "waiting up to 30 s for 2 commands (again to end what runs)",
      "every command has come to its end",
    ]);
  });

  test("what takes longer than --drain is ended", async () => {
    const { running, address } = await serve("--drain=300ms");
    const exec = startLimpet(
      ["exec", address, "-c", "echo ready; sleep 1000"],
      {
        env,
      },
    );
    await exec.says("ready");
    running.kill("SIGTERM");
    const { code, stderr } = await exec.outcome;
    expect(code).toBe(143);
    expect(stderr).toContain("the command has up to 300 ms\n");
    expect(stderr).toContain(
      "was ended by the server: the server is going down\n",
    );
    expect((await running.outcome).code).toBe(0);
    expect(stopping(running)).toEqual([
      "waiting up to 300 ms for 1 command (again to end what runs)",
      "the time is up, ending 1 command",
    ]);
  });

  test("the second one ends what runs, the third one kills it", async () => {
    const { running, address } = await serve("--drain=1h");
    const args = ["exec", "--kill-after=1h", address, "-c"];
    const polite = startLimpet([...args, "echo ready; exec sleep 1000"], {
      env,
    });
    const stubborn = startLimpet([...args, STUBBORN], { env });
    await polite.says("ready");
    await stubborn.says("ready");
    const remote = parseInt(stubborn.stdout());
    running.kill("SIGTERM");
    await stubborn.complains("the command has up to 3600 s");
    running.kill("SIGINT");
    await stubborn.says("asked");
    expect((await polite.outcome).code).toBe(143);
    expect(isAlive(remote)).toBe(true);
    running.kill("SIGTERM");
    await untilGone([remote]);
    expect((await stubborn.outcome).code).toBe(137);
    expect((await running.outcome).code).toBe(0);
    expect(stopping(running)).toEqual([
      "waiting up to 3600 s for 2 commands (again to end what runs)",
      "not waiting for 2 commands any longer (again to kill what does not end)",
    ]);
  });

  test("a prompt leaves after the line that runs, another one at once", async () => {
    const { running, address } = await serve("-v");
    const busy = startLimpet(["shell", address], { env, input: "pipe" });
    // It has run no line: of one that it had, nothing would tell when it is over.
    const idle = startLimpet(["shell", address], { env, input: "pipe" });
    const fifo = join(folder, "fifo");
    busy.child.stdin!.write(
      `rm -f ${fifo}; mkfifo ${fifo}; echo ready; cat ${fifo}\necho never\n`,
    );
    await busy.says("ready");
    await eventually(
      () => running.stderr().match(/ is default$/gm)?.length === 2,
      () => `both are there: ${running.stderr()}`,
    );
    running.kill("SIGTERM");
    await busy.complains("the server is going down: this line is the last one");
    const left = await idle.outcome;
    expect(left.code).toBe(255);
    expect(left.stderr).toMatch(
      /^limpet: [\d.:]+ takes no more commands: The server is going down; /,
    );
    writeFileSync(fifo, "to the end\n");
    const { code, stdout, stderr } = await busy.outcome;
    expect({ code, stdout }).toEqual({
      code: 255,
      stdout: "ready\nto the end\n",
    });
    expect(stderr).toContain(" takes no more commands: ");
    expect((await running.outcome).code).toBe(0);
  });

  test("--stdio lets the command come to its end too", async () => {
    const file = join(folder, "stdio-token");
    writeFileSync(file, TOKEN, { mode: 0o600 });
    const line = [...cli(THIS_RUNTIME).map(quoted), "serve --stdio"].join(" ");
    const exec = startLimpet(
      ["exec", "-i", `cmd:${line}`, "-c", "echo $PPID; cat; exit 5"],
      { env: { LIMPET_TOKEN_FILE: file }, input: "pipe" },
    );
    await exec.says("\n");
    const server = parseInt(exec.stdout());
    process.kill(server, "SIGTERM");
    await exec.complains("the command has up to 30 s");
    exec.child.stdin!.end("the rest");
    const { code, stdout } = await exec.outcome;
    expect({ code, stdout }).toEqual({
      code: 5,
      stdout: `${server}\nthe rest`,
    });
    await untilGone([server]);
  });
});

describe(`SIGHUP to serve on ${THIS_RUNTIME}`, () => {
  const OTHER = "another-token-than-before";

  test("reads the token again, and what it cannot read changes nothing", async () => {
    const file = join(folder, "token");
    const write = (token: string) => {
      rmSync(file, { force: true });
      writeFileSync(file, `${token}\n`, { mode: 0o600 });
    };
    write(TOKEN);
    const { running, address } = await serve("--token-file", file);
    const dial = () => adapter.dial(parseAddress(address));
    const admits = async (token: string) => {
      try {
        await using _ = await connect(dial, { token });
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: "unauthenticated" });
        return false;
      }
    };
    const session = startLimpet(["exec", "-i", address, "--", "cat"], {
      env,
      input: "pipe",
    });
    session.child.stdin!.write("before\n");
    await session.says("before\n");

    write(OTHER);
    running.kill("SIGHUP");
    await running.complains(`limpet: read again: the token in ${file}\n`);
    expect([await admits(TOKEN), await admits(OTHER)]).toEqual([false, true]);

    write("short");
    running.kill("SIGHUP");
    await running.complains("limpet: the old configuration stays: ");
    rmSync(file);
    running.kill("SIGHUP");
    await running.complains(`${file} does not exist`);
    expect([await admits(TOKEN), await admits(OTHER)]).toEqual([false, true]);

    // And whoever was there has noticed nothing of all that.
    session.child.stdin!.end("after\n");
    expect(await session.outcome).toMatchObject({
      code: 0,
      stdout: "before\nafter\n",
      stderr: "",
    });
    running.kill("SIGTERM");
    expect((await running.outcome).code).toBe(0);
    expectOwnWords(running.stderr().replaceAll(/^.*did not get in.*\n/gm, ""));
  });

  test("a server whose terminal closes does not live on", async () => {
    const terminal = start([
      "python3",
      "-c",
      "import pty, sys; pty.spawn(sys.argv[1:])",
      ...cli(THIS_RUNTIME),
      "serve",
      "tcp://127.0.0.1:0",
    ], { env });
    await terminal.says("listening on");
    const [address] = /tcp:[\w./:]+/.exec(terminal.stdout())!;
    const exec = startLimpet(
      ["exec", address, "-c", "echo $PPID; echo $$; exec sleep 1000"],
      { env },
    );
    await exec.says("\n");
    await eventually(
      () => exec.stdout().split("\n").length === 3,
      () => `two lines: ${exec.stdout()}`,
    );
    const [server, command] = exec.stdout().split("\n").map(Number);
    terminal.kill("SIGKILL");
    await exec.complains("the server is going down");
    // It still waits for its commands, as for SIGTERM.
    process.kill(server, "SIGHUP");
    await untilGone([server, command]);
    expect((await exec.outcome).code).toBe(143);
  });

  test("--stdio hangs up", async () => {
    const running = startLimpet(["serve", "--stdio", "-v"], {
      env,
      input: "pipe",
    });
    await running.complains("stdio connected");
    running.kill("SIGHUP");
    expect((await running.outcome).code).toBe(0);
    expect(stopping(running)).toEqual(["no command runs"]);
  });
});
