import { expect, test } from "vitest";
import type { ServerEvent } from "../core/server.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { serving, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

type Of<T> = Extract<ServerEvent, { type: T }>;

function all<T extends ServerEvent["type"]>(
  events: readonly ServerEvent[],
  type: T,
): Of<T>[] {
  return events.filter((event): event is Of<T> => event.type === type);
}

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("events tell who, from where, when, how much and how long", async () => {
  const before = Date.now();
  await using served = await serving();
  const session = await served.connect();
  const { stdout } = await session.output("cat; echo oops >&2", {
    shell: true,
    cwd: "/",
    env: { SECRET: "not to be told", LANG: "C" },
    stdin: new TextEncoder().encode("x".repeat(300_000)),
    traceparent: TRACE,
  });
  expect(stdout).toHaveLength(300_000);
  await session.output("no-such-program-here").catch(() => {});
  const child = session.spawn("sleep", { args: ["1000"] });
  await child.pid;
  child.kill("SIGCONT");
  child.terminate();
  await child.status;
  await session.close();
  await served.untilDisconnected(1);

  const { events } = served;
  const unknown = events.filter(({ identity }) => identity === null);
  expect(unknown.map(({ type }) => type)).toEqual(["connected"]);
  for (const event of events) {
    expect(event.time).toBeGreaterThanOrEqual(before);
    expect(event.time).toBeLessThanOrEqual(Date.now());
    expect(event.session).toBe(1);
    expect(event.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(event.identity).toBe(event.type === "connected" ? null : "default");
  }
  const asked = {
    argv: ["cat; echo oops >&2"],
    shell: true,
    cwd: "/",
    env: ["SECRET", "LANG"],
    traceparent: TRACE,
  };
  const [started] = all(events, "command_started");
  expect(started).toMatchObject(asked);
  const [ended] = all(events, "command_ended");
  expect(ended.command).toBe(started.command);
  expect(ended.bytes).toEqual({ stdin: 300_000, stdout: 300_000, stderr: 5 });
  expect(ended.durationMs).toBeGreaterThanOrEqual(0);
  const [refused] = all(events, "command_refused");
  expect(refused).toMatchObject({
    code: "not_found",
    argv: ["no-such-program-here"],
    shell: false,
    cwd: null,
    env: [],
    traceparent: null,
  });
  expect(
    all(events, "command_signalled").map(({ signal, terminate }) =>
      `${signal} ${terminate}`
    ),
  ).toEqual(["SIGCONT false", "SIGTERM true"]);
  expect(JSON.stringify(events)).not.toContain("not to be told");
  expect(served.disconnected()[0].durationMs).toBeGreaterThanOrEqual(0);
});

test("a command's end is told when its streams have ended too", async () => {
  await using served = await serving({ windowBytes: 1_024 });
  await using session = await served.connect({
    limits: { windowBytes: 1_024 },
  });
  const child = session.spawn("seq", { args: ["1", "2000"] });
  expect(await child.status).toMatchObject({ code: 0 });
  expect(all(served.events, "command_ended")).toEqual([]);
  const text = await new Response(child.stdout).text();
  await eventually(
    () => all(served.events, "command_ended").length === 1,
    () => JSON.stringify(served.events),
  );
  const [{ bytes }] = all(served.events, "command_ended");
  expect(bytes).toEqual({ stdin: 0, stdout: text.length, stderr: 0 });
});

test("a place in a trace reaches the command, if it is one", async () => {
  await using served = await serving({}, undefined, {
    environment: () => ({
      PATH: "/usr/bin:/bin",
      TRACEPARENT: "of-the-server",
      TRACESTATE: "of-the-server",
    }),
  });
  await using session = await served.connect();
  const line = 'echo "${TRACEPARENT-none} ${TRACESTATE-none}"';
  const seen = async (traceparent?: string) => {
    const { stdout } = await session.output(line, { shell: true, traceparent });
    return new TextDecoder().decode(stdout).trimEnd();
  };
  expect(await seen()).toBe("none none");
  const rest = TRACE.slice(2);
  for (const good of [TRACE, `cc${rest}`, `cc${rest}-what-comes-later`]) {
    expect(await seen(good)).toBe(`${good} none`);
  }
  for (
    const bad of [
      "",
      "00",
      `ff${rest}`,
      `${TRACE}-more`,
      `${TRACE}\n`,
      TRACE.toUpperCase(),
      `cc${rest}-`,
      `cc${rest}-\x1b`,
      `cc${rest}-${"x".repeat(201)}`,
      `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
      `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`,
    ]
  ) expect(await seen(bad)).toBe("none none");
  const own = await session.output(line, {
    shell: true,
    traceparent: TRACE,
    env: { TRACEPARENT: "as the caller says" },
  });
  expect(new TextDecoder().decode(own.stdout)).toContain("as the caller says");
});
