import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  afterEach,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from "vitest";
import type { Session } from "../core/client.ts";
import type { RemoteCommand } from "../core/exec/client.ts";
import type { SpawnOptions } from "../core/options.ts";
import { withFaults } from "./support/faults.ts";
import { type HeldTimers, holdTimers } from "./support/held_timers.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { serverFor, startServer, useServer } from "./support/servers.ts";
import { serving } from "./support/serving.ts";

const KILL_AFTER_MS = 300;

/** It passes when the test says so, and never before a tree stands. */
const TIMEOUT_MS = 600_001;

/** sh, its sh, and that one's sleep; none of them cares for SIGTERM. */
const STUBBORN = `trap '' TERM; echo $$
sh -c 'echo $$; sleep 100 & echo $!; wait; wait'; wait`;

/** The same, and the first of them ends with SIGTERM. */
const STUBBORN_BELOW = `(trap '' TERM
exec sh -c 'echo $$; sleep 100 & echo $!; wait; wait') & echo $$; wait`;

interface Tree {
  readonly child: RemoteCommand;
  readonly pids: number[];
}

/** Starts a tree and waits until all three have said their numbers. */
async function plant(
  session: Session,
  options: SpawnOptions = {},
  line = STUBBORN,
): Promise<Tree> {
  const child = session.spawn(line, {
    shell: true,
    killAfterMs: KILL_AFTER_MS,
    ...options,
  });
  const reader = child.stdout.getReader();
  let said = "";
  while (said.split("\n").length < 4) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The tree said only ${said}`);
    said += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  const pids = said.trim().split("\n").map(Number);
  expect(pids).toContain(await child.pid);
  expect(pids.every(isAlive)).toBe(true);
  return { child, pids };
}

/** How long it took until the tree was gone. */
async function timeToFall(pids: number[], since: number): Promise<number> {
  await untilGone(pids);
  return performance.now() - since;
}

describe(`a tree that ignores SIGTERM, on ${serverFor(1)}`, () => {
  const runtime = serverFor(1);
  const server = useServer(runtime);

  test("falls by terminate()", async () => {
    await using session = await server().connect();
    const { child, pids } = await plant(session);
    const since = performance.now();
    child.terminate();
    expect(await child.status).toEqual({
      code: null,
      signal: "SIGKILL",
      reason: "cancelled",
      success: false,
    });
    // Once there is a status, nothing is left.
    expect(pids.filter(isAlive)).toEqual([]);
    expect(performance.now() - since).toBeGreaterThanOrEqual(KILL_AFTER_MS);
  });

  test("falls by terminate() after stdin has ended", async () => {
    await using session = await server().connect();
    const { child, pids } = await plant(session, { stdin: "piped" });
    await child.stdin.close();
    await session.output("true");
    child.terminate();
    expect(await child.status).toMatchObject({ reason: "cancelled" });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("falls at once if the patience is 0", async () => {
    await using session = await server().connect();
    const { child, pids } = await plant(session, { killAfterMs: 60_000 });
    child.terminate();
    child.terminate(0);
    expect(await child.status).toMatchObject({ signal: "SIGKILL" });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("falls by an AbortSignal", async () => {
    await using session = await server().connect();
    const controller = new AbortController();
    const { signal } = controller;
    const { child, pids } = await plant(session, { signal });
    controller.abort();
    expect(await child.status).toMatchObject({
      signal: "SIGKILL",
      reason: "cancelled",
    });
    expect(pids.filter(isAlive)).toEqual([]);
    expect(() => session.spawn("true", { signal })).toThrow(
      expect.objectContaining({ code: "cancelled" }),
    );
  });

  test("falls with its session", async () => {
    const session = await server().connect();
    const { child, pids } = await plant(session);
    const since = performance.now();
    await session.close();
    await expect(child.status).rejects.toMatchObject({ code: "closed" });
    expect(await timeToFall(pids, since)).toBeGreaterThan(KILL_AFTER_MS - 50);
  });

  test("falls when its client is gone without a word", async () => {
    let drop = () => {};
    const session = await server().connect({
      wrap: (duplex) =>
        withFaults(duplex, {
          reads(chunks, dropNow) {
            drop = dropNow;
            return chunks;
          },
        }),
    });
    const { child, pids } = await plant(session);
    expect(drop).toThrow("cut");
    await expect(child.status).rejects.toMatchObject({
      code: "connection_lost",
    });
    await untilGone(pids);
  });

  test("falls with what its leader left when that obeyed", async () => {
    await using session = await server().connect();
    const { child, pids } = await plant(session, {}, STUBBORN_BELOW);
    child.terminate();
    expect(await child.status).toEqual({
      code: null,
      signal: "SIGTERM",
      reason: "cancelled",
      success: false,
    });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("falls with `await using`", async () => {
    await using session = await server().connect();
    const left: number[] = [];
    {
      await using child = session.spawn(STUBBORN, {
        shell: true,
        killAfterMs: KILL_AFTER_MS,
      });
      left.push(await child.pid);
    }
    expect(left.filter(isAlive)).toEqual([]);
  });

  test("is reached as a whole by other signals", async () => {
    await using session = await server().connect();
    const { child, pids } = await plant(session, { stdin: "piped" });
    await child.stdin.close();
    child.kill("SIGUSR1");
    expect(await child.status).toEqual({
      code: null,
      signal: "SIGUSR1",
      reason: null,
      success: false,
    });
    await untilGone(pids);
    child.kill("SIGTERM");
    expect(() => child.kill("SIGNONSENSE" as "SIGTERM")).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });

  test("SIGINT reaches a tree that minds it", async () => {
    await using session = await server().connect();
    const line = `trap 'echo caught; exit 5' INT; echo $$
perl -e '$| = 1; print "$$\\n"; if (my $p = fork) { print "$p\\n"; wait }
else { sleep 100 }'; wait`;
    const { child, pids } = await plant(session, {}, line);
    child.kill("SIGINT");
    expect(await child.status).toMatchObject({ code: 5, reason: null });
    const { value } = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe("caught\n");
    await untilGone(pids);
  });

  test("a signal that comes before the start is not lost", async () => {
    await using session = await server().connect();
    const children = Array.from({ length: 20 }, (_, i) => {
      const child = session.spawn("sleep", { args: ["100"] });
      if (i % 2 === 0) child.kill("SIGTERM");
      else child.terminate();
      return child;
    });
    const statuses = await Promise.all(children.map(({ status }) => status));
    expect(statuses.map(({ signal, reason }) => [signal, reason])).toEqual(
      children.map((_, i) => ["SIGTERM", i % 2 === 0 ? null : "cancelled"]),
    );
  });

  test("a deadline that is not reached does nothing", async () => {
    await using session = await server().connect();
    const output = await session.output("sleep 0.1; echo hi", {
      shell: true,
      timeoutMs: 20_000,
    });
    expect(output).toMatchObject({ code: 0, reason: null });
  });

  test("falls with its server", async () => {
    await using other = await startServer(runtime);
    const session = await other.connect();
    const { child, pids } = await plant(session);
    const stopping = other.stop();
    expect(await child.status).toMatchObject({
      signal: "SIGKILL",
      reason: "shutting_down",
    });
    expect((await session.closed).code).toBe("shutting_down");
    await stopping;
    expect(pids.filter(isAlive)).toEqual([]);
  });
});

describe(`a deadline that passes, on ${THIS_RUNTIME}`, () => {
  let timers: HeldTimers;
  beforeEach(() => {
    timers = holdTimers(TIMEOUT_MS);
  });
  afterEach(() => timers[Symbol.dispose]());

  test("fells a tree that ignores SIGTERM", async () => {
    await using served = await serving();
    await using session = await served.connect();
    const { child, pids } = await plant(session, { timeoutMs: TIMEOUT_MS });
    const since = performance.now();
    timers.fire(TIMEOUT_MS);
    expect(await child.status).toEqual({
      code: null,
      signal: "SIGKILL",
      reason: "timed_out",
      success: false,
    });
    expect(performance.now() - since).toBeGreaterThanOrEqual(KILL_AFTER_MS - 5);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("is the reason, whatever comes after it", async () => {
    await using served = await serving();
    await using session = await served.connect();
    const line = "trap 'echo asked' TERM; echo ready; " +
      "while :; do sleep 100 & wait; done";
    const child = session.spawn(line, { shell: true, timeoutMs: TIMEOUT_MS });
    const reader = child.stdout.getReader();
    const until = async (word: string) => {
      for (let said = ""; !said.includes(word);) {
        const { done, value } = await reader.read();
        if (done) throw new Error(`It said only ${said}`);
        said += new TextDecoder().decode(value);
      }
    };
    await until("ready");
    timers.fire(TIMEOUT_MS);
    await until("asked");
    child.terminate(0);
    expect(await child.status).toMatchObject({ reason: "timed_out" });
  });

  test("output() tells who ended the command, with what it had said", async () => {
    await using served = await serving();
    await using session = await served.connect();
    const folder = mkdtempSync(join(tmpdir(), "limpet-trees-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const line = "echo out; echo err >&2; trap 'exit 3' TERM; : >ready; " +
      "sleep 100 & wait";
    const controller = new AbortController();
    const { signal } = controller;
    const outcomes = Promise.all([
      session.output(line, { shell: true, cwd: folder, timeoutMs: TIMEOUT_MS })
        .catch((thrown) => thrown),
      session.output("sleep", { args: ["100"], signal })
        .catch((thrown) => thrown),
    ]);
    await eventually(() => existsSync(join(folder, "ready")), () => "it runs");
    timers.fire(TIMEOUT_MS);
    controller.abort();
    const [late, stopped] = await outcomes;
    expect(late).toMatchObject({
      name: "LimpetError",
      code: "timed_out",
      timedOut: true,
      isCanceled: false,
      exitCode: 3,
      signal: null,
      complete: true,
    });
    expect(new TextDecoder().decode(late.stdout)).toBe("out\n");
    expect(new TextDecoder().decode(late.stderr)).toBe("err\n");
    expect(stopped).toMatchObject({
      code: "cancelled",
      timedOut: false,
      isCanceled: true,
      exitCode: null,
      signal: "SIGTERM",
    });
  });
});
