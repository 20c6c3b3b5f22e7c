import { expect, test } from "vitest";
import { deferred } from "../core/deferred.ts";
import type { ExitStatus, ProcessHandle } from "../core/ports.ts";
import { Server } from "../core/server.ts";
import { adapter } from "./support/adapter.ts";
import { holdTimers } from "./support/held_timers.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { PLATFORM, serving, TOKEN } from "./support/serving.ts";

const DAY_MS = 86_400_000;
const silent = { stdout: "null", stderr: "null" } as const;

/** Says that it was asked to end, and does not. */
const STUBBORN = "trap 'echo asked' TERM; echo ready; " +
  "while :; do sleep 1000 & wait; done";

/** Reads until the text has come. */
async function until(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  text: string,
): Promise<void> {
  for (let said = ""; !said.includes(text);) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`It ended without "${text}": ${said}`);
    said += new TextDecoder().decode(value);
  }
}

test("a server that closes waits its own time at most, whatever a command asked for", async () => {
  await using served = await serving({ shutdownGraceMs: 100 });
  await using session = await served.connect();
  const child = session.spawn(STUBBORN, { shell: true, killAfterMs: DAY_MS });
  await until(child.stdout.getReader(), "ready");
  await served.server.close();
  expect(isAlive(await child.pid)).toBe(false);
  expect(await child.status).toMatchObject({
    signal: "SIGKILL",
    reason: "shutting_down",
  });
});

test.each(["before it listens", "while it begins to"])(
  "a server that is closed %s does not listen",
  async (when) => {
    const server = new Server({
      token: TOKEN,
      platform: PLATFORM,
      environment: () => ({}),
      spawner: adapter.spawner,
    });
    const listener = await adapter.listen({
      kind: "tcp",
      hostname: "127.0.0.1",
      port: 0,
    });
    if (when === "before it listens") await server.close();
    const listening = server.listen(listener);
    await server.close();
    await listening;
  },
);

test("a command asks for less than that, and gets it", async () => {
  await using served = await serving({ shutdownGraceMs: DAY_MS });
  await using session = await served.connect();
  const child = session.spawn(STUBBORN, { shell: true, killAfterMs: 100 });
  await until(child.stdout.getReader(), "ready");
  await served.server.close();
  expect(isAlive(await child.pid)).toBe(false);
});

test("a session that ends has the same bound", async () => {
  await using served = await serving({ shutdownGraceMs: 100 });
  const session = await served.connect();
  const child = session.spawn("trap '' TERM; echo ready; sleep 1000; :", {
    shell: true,
    killAfterMs: DAY_MS,
  });
  await until(child.stdout.getReader(), "ready");
  const pid = await child.pid;
  await session.close();
  await served.untilDisconnected(1);
  expect(isAlive(pid)).toBe(false);
  expect(served.events).toContainEqual(expect.objectContaining({
    type: "command_ended",
    status: expect.objectContaining({ reason: "disconnected" }),
  }));
});

test("close(0) hurries a close that waits", async () => {
  await using served = await serving({ shutdownGraceMs: DAY_MS });
  await using session = await served.connect();
  const child = session.spawn(STUBBORN, { shell: true, killAfterMs: DAY_MS });
  const reader = child.stdout.getReader();
  await until(reader, "ready");
  const closing = served.server.close();
  await until(reader, "asked");
  expect(isAlive(await child.pid)).toBe(true);
  await served.server.close(0);
  await closing;
  expect(isAlive(await child.pid)).toBe(false);
  expect(await child.status).toMatchObject({ signal: "SIGKILL" });
});

test("what a command leaves is ended with the session, its output unread", async () => {
  await using served = await serving({ shutdownGraceMs: 100 });
  const session = await served.connect({ limits: { windowBytes: 1_024 } });
  const child = session.spawn(
    "trap '' TERM; sleep 1000 & echo $! >&2; seq 1 20000; sleep 1000 & exit 0",
    { shell: true, killAfterMs: DAY_MS },
  );
  const { value } = await child.stderr.getReader().read();
  const left = Number(new TextDecoder().decode(value));
  expect(await child.status).toMatchObject({ code: 0 });
  expect(isAlive(left)).toBe(true);
  await session.close();
  await served.untilDisconnected(1);
  expect(isAlive(left)).toBe(false);
});

test("what a command left is forgotten once it has gone, its output unread", async () => {
  const exit = deferred<ExitStatus>();
  const seen: boolean[] = [];
  const sent: string[] = [];
  let answer = true;
  // Whose group ends, and whose number somebody else's processes get then.
  const handle: ProcessHandle = {
    pid: 1,
    stdin: null,
    stdout: new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(10_000)),
    }),
    stderr: null,
    status: exit.promise,
    kill: (name) => sent.push(name) > 0,
    groupAlive: () => {
      seen.push(answer);
      return answer;
    },
  };
  await using served = await serving({}, () => Promise.resolve(handle));
  const session = await served.connect({ limits: { windowBytes: 1_024 } });
  const child = session.spawn("fake", { stderr: "null" });
  await child.pid;
  exit.resolve({ code: 0, signal: null });
  await child.status;
  expect(seen).toEqual([true]);
  answer = false;
  await eventually(() => seen.includes(false), () => "the group is looked at");
  answer = true;
  await session.close();
  await served.untilDisconnected(1);
  expect(sent).toEqual([]);
});

test("a chunk that is no bytes is that command's fault alone", async () => {
  await using served = await serving();
  await using session = await served.connect();
  const other = session.spawn("cat", { stdin: "piped" });
  for (const chunk of ["text", null, [1], new ArrayBuffer(3)]) {
    const child = session.spawn("cat", { stdin: "piped" });
    const writer = child.stdin.getWriter();
    writer.closed.catch(() => {});
    await expect(writer.write(chunk as never)).rejects.toMatchObject({
      name: "LimpetError",
      code: "invalid_argument",
    });
    expect(await child.status).toMatchObject({ reason: "stdin_aborted" });
  }
  const writer = other.stdin.getWriter();
  await writer.write(new TextEncoder().encode("on\n"));
  await writer.close();
  expect(await other.status).toMatchObject({ code: 0 });
  const streams = session.output("cat", {
    stdin: new ReadableStream({
      start(controller) {
        controller.enqueue("text" as never);
        controller.close();
      },
    }),
  });
  await expect(streams).rejects.toMatchObject({
    code: "cancelled",
    cause: { code: "invalid_argument" },
  });
  expect(session.over).toBe(false);
});

test("terminate() takes no time that no timer can hold", async () => {
  await using served = await serving();
  await using session = await served.connect();
  const child = session.spawn("sleep", { args: ["1000"] });
  for (const ms of [NaN, -1, 1.5, Infinity, 2 ** 31]) {
    expect(() => child.terminate(ms)).toThrow(
      expect.objectContaining({
        name: "LimpetError",
        code: "invalid_argument",
      }),
    );
  }
  expect(await session.spawn("true", silent).status).toMatchObject({ code: 0 });
  expect(isAlive(await child.pid)).toBe(true);
  child.terminate(0);
  expect(await child.status).toMatchObject({ reason: "cancelled" });
  await untilGone([await child.pid]);
});

test("what does not start, and what no signal ends, holds up no server for ever", async () => {
  const sent: string[] = [];
  const ended = deferred<ExitStatus>();
  let isAlive = true;
  const stuck: ProcessHandle = {
    pid: 4711,
    stdin: null,
    stdout: null,
    stderr: null,
    status: ended.promise,
    kill: (signal) => sent.push(signal) > 0,
    groupAlive: () => isAlive,
  };
  const unstarted = deferred<ProcessHandle>();
  await using served = await serving(
    { shutdownGraceMs: 100 },
    ({ argv }) =>
      argv?.[0] === "never" ? unstarted.promise : Promise.resolve(stuck),
  );
  await using session = await served.connect();
  using timers = holdTimers(5_200);
  const never = session.spawn("never", silent);
  const child = session.spawn("stuck", silent);
  expect(await child.pid).toBe(4711);
  const closing = served.server.close();
  await eventually(() => sent.includes("SIGKILL"), () => sent.join());
  expect(timers.waiting(5_200)).toBe(1);
  expect(served.events.some(({ type }) => type === "command_left")).toBe(false);
  timers.fire(5_200);
  await closing;
  expect(served.events.filter(({ type }) => type === "command_left"))
    .toMatchObject([
      { identity: "default", pid: null, argv: ["never"], shell: false },
      { identity: "default", pid: 4711, argv: ["stuck"], shell: false },
    ]);
  for (const { status } of [never, child]) {
    await expect(status).rejects.toMatchObject({
      code: "connection_lost",
      message: expect.stringContaining("Server is shutting down"),
    });
  }
  // The kernel lets it go after all.
  isAlive = false;
  ended.resolve({ code: null, signal: "SIGKILL" });
  unstarted.reject(new Error("The disk is back, and full"));
});
