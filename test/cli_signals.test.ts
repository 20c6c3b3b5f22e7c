import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, expect, test } from "vitest";
import {
  binFolder,
  limpet,
  startLimpet,
  startShell,
  temporaryFolder,
} from "./support/cli.ts";
import {
  isAlive,
  residentBytes,
  SLEEPER,
  untilGone,
  untilResting,
} from "./support/processes.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { serverFor, startServer, useServer } from "./support/servers.ts";
import { eventually } from "./support/leaks.ts";

const bin = binFolder(temporaryFolder());

/** Three levels that ignore SIGTERM, and print their ids. */
const STUBBORN = `trap '' TERM INT HUP; echo pid $$; sh -c '
  echo pid $$; sh -c "echo pid \\$\\$; echo ready; sleep 1000; :"; :'; :`;

function pids(stdout: string): number[] {
  const found = Array.from(stdout.matchAll(/^pid (\d+)/gm), ([, n]) => +n);
  expect(found.length).toBeGreaterThan(0);
  return found;
}

describe(`exec on ${THIS_RUNTIME}, serve on ${serverFor(1)}`, () => {
  const server = useServer(serverFor(1));
  const env = () => ({ LIMPET_TOKEN_FILE: server().tokenFile });
  const start = (line: string, ...flags: string[]) =>
    startLimpet(["exec", ...flags, server().address, "-c", line], {
      env: env(),
    });

  test("signals to the client reach the command", async () => {
    const names = ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"] as const;
    const traps = names.map((name) => `trap 'echo got ${name}' ${name}`);
    const running = start(
      `${traps.join("; ")}; trap 'echo got USR2; exit 5' USR2; echo ready
      while :; do sleep 1000 & wait; kill $!; done 2>/dev/null`,
    );
    await running.says("ready");
    for (const name of names) {
      running.kill(`SIG${name}`);
      await running.says(`got ${name}`);
    }
    expect(await running.outcome).toMatchObject({ code: 5 });
  });

  test("a signal that ends the command ends the client: 128 + n", async () => {
    for (const [name, code] of [["SIGINT", 130], ["SIGHUP", 129]] as const) {
      const running = start(SLEEPER);
      await running.says("\n");
      running.kill(name);
      expect(await running.outcome).toMatchObject({ code, stderr: "" });
      await untilGone(pids(running.stdout()));
    }
  });

  test("the third SIGINT gives up, and the server sees to the rest", async () => {
    const running = start(
      "trap 'echo caught' INT; trap '' TERM; echo pid $$ ready; " +
        "while :; do sleep 1000 & wait; done",
      "--kill-after=300ms",
    );
    await running.says("ready");
    running.kill("SIGINT");
    await running.says("caught\n");
    running.kill("SIGINT");
    await running.says("caught\ncaught\n");
    running.kill("SIGINT");
    const { code, stderr } = await running.outcome;
    expect(code).toBe(130);
    expect(stderr).toBe(
      "limpet: not waiting any longer: the server ends the command " +
        "(SIGINT again)\n",
    );
    await untilGone(pids(running.stdout()));
  });

  test("a client killed with -9 leaves no tree behind", async () => {
    // Its server need not wait for it to come back.
    const flags = ["--kill-after=300ms", "--resume-timeout=0"];
    const running = start(STUBBORN, ...flags);
    await running.says("ready");
    const tree = pids(running.stdout());
    expect(tree.map(isAlive)).toEqual([true, true, true]);
    running.kill("SIGKILL");
    await untilGone(tree);
    expect(await running.outcome).toMatchObject({ signal: "SIGKILL" });
  });

  test("yes | head -1 ends at once, and the remote yes is gone", async () => {
    const { address } = server();
    const { stdout, code } = await startShell(
      `limpet exec ${address} -c 'echo pid $$; exec yes' | head -2`,
      bin,
      { env: env() },
    ).outcome;
    expect({ stdout: stdout.replace(/\d+/, "N"), code }).toEqual({
      stdout: "pid N\ny\n",
      code: 0,
    });
    await untilGone(pids(stdout));
  });

  test("a reader that stands still costs a window, and holds up no signal", async () => {
    const running = start("echo pid $$ >&2; exec yes");
    running.child.stdout!.pause();
    await running.complains("pid ");
    const [remote] = pids(running.stderr());
    const { pid } = server();
    const before = residentBytes(pid) + residentBytes(running.pid);
    // It stands still once everything in between is full.
    const more = () => written(remote) > 65_536;
    await eventually(more, () => `yes has written ${written(remote)} bytes`);
    await untilResting([remote, pid, running.pid]);
    expect(written(remote)).toBeLessThan(4 * 1024 * 1024);
    const after = residentBytes(pid) + residentBytes(running.pid);
    expect(after - before).toBeLessThan(128 * 1024 * 1024);
    running.kill("SIGINT");
    await untilGone([remote]);
    await eventually(
      () => !isAlive(running.pid),
      () => "the client ends although nobody takes its output",
    );
    running.child.stdout!.resume();
    const { code, stderr } = await running.outcome;
    expect(code).toBe(130);
    expect(stderr).toContain("nobody takes the rest of the output");
  });
});

/** The bytes that a process has written. */
function written(pid: number): number {
  const text = readFileSync(`/proc/${pid}/io`, "utf8");
  return Number(/^wchar: (\d+)$/m.exec(text)?.[1]);
}

describe(`on ${THIS_RUNTIME}`, () => {
  test("a slow reader gets everything, after a signal too", async () => {
    await using server = await startServer(serverFor(1));
    const line = "trap 'seq 1 100000; exit 4' TERM; echo ready; " +
      "sleep 1000 & wait";
    const running = startLimpet(["exec", server.address, "-c", line], {
      env: { LIMPET_TOKEN_FILE: server.tokenFile },
    });
    await running.says("ready");
    const stdout = running.child.stdout!;
    stdout.on("data", () => stdout.pause());
    const sips = setInterval(() => stdout.resume(), 20);
    running.kill("SIGTERM");
    try {
      const outcome = await running.outcome;
      expect(outcome.code).toBe(4);
      expect(outcome.stdout.length).toBe("ready\n".length + 588_895);
    } finally {
      clearInterval(sips);
    }
  });

  test("SIGTERM to a server ends its trees", async () => {
    await using server = await startServer(THIS_RUNTIME);
    const env = { LIMPET_TOKEN_FILE: server.tokenFile };
    const running = startLimpet([
      "exec",
      "--kill-after=300ms",
      server.address,
      "-c",
      STUBBORN,
    ], { env });
    await running.says("ready");
    const tree = pids(running.stdout());
    process.kill(server.pid, "SIGTERM");
    await untilGone([server.pid, ...tree]);
    const { code, stderr } = await running.outcome;
    expect(code).toBe(137);
    expect(stderr).toContain("limpet: the command was ended by the server: ");
  });

  test("and its status is 0", async () => {
    const serving = startLimpet(["serve", "tcp://127.0.0.1:0"], {
      env: { LIMPET_TOKEN: "0123456789abcdef" },
    });
    await serving.complains("listening on");
    serving.kill("SIGTERM");
    const { code, stdout, stderr } = await serving.outcome;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain("limpet: stopping: no command runs\n");
    expect(stderr).toContain("token in LIMPET_TOKEN\n");
    expect(stderr).not.toContain("0123456789abcdef");
  });

  test("a server that is told twice still ends", async () => {
    const env = { LIMPET_TOKEN: "0123456789abcdef" };
    const serving = startLimpet(["serve", "tcp://127.0.0.1:0"], { env });
    await serving.complains("listening on");
    serving.kill("SIGINT");
    serving.kill("SIGINT");
    expect((await serving.outcome).code).toBe(0);
    const client = await limpet(["exec", "127.0.0.1:1", "--", "true"], { env });
    expect(client.code).toBe(255);
  });
});
