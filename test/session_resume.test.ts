import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Identities } from "../core/auth/identities.ts";
import { connect } from "../core/client.ts";
import { LimpetError } from "../core/errors.ts";
import type { Dialler } from "../core/ports.ts";
import type { Limits } from "../core/limits.ts";
import {
  resumable,
  type ResumeEvent,
  type ResumeOptions,
} from "../core/resume.ts";
import type { ServeOptions, ServerEvent } from "../core/server.ts";
import type { ServerLimits } from "../core/server_limits.ts";
import { textOf } from "./support/bytes.ts";
import { temporaryFolder } from "./support/cli.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { type Break, type Hush, proxyTo } from "./support/proxy.ts";
import { serving, TOKEN, warmUp } from "./support/serving.ts";

const folder = temporaryFolder();
useLeakCheck(warmUp);

/** A connection that stalls is noticed by nothing else. */
const SOON: Partial<Limits> = { keepaliveMs: 300, keepaliveCount: 2 };

/** A server behind a proxy, and a session that resumes. */
async function resuming(
  limits: Partial<ServerLimits> = {},
  options: ResumeOptions = {},
  more: Partial<ServeOptions> = {},
  own: Partial<Limits> = {},
) {
  const served = await serving(limits, undefined, more);
  const proxy = await proxyTo(served.target.port);
  const events: ResumeEvent[] = [];
  const session = await connect(proxy.dial, {
    token: TOKEN,
    limits: own,
    resume: resumable({ ...options, onEvent: (event) => events.push(event) }),
  });
  const of = <T extends ServerEvent["type"]>(type: T) =>
    served.events.filter((event): event is Extract<ServerEvent, { type: T }> =>
      event.type === type
    );
  return {
    served,
    proxy,
    session,
    events,
    /** The server's events of one type. */
    of,
    untilSuspended: (count = 1) =>
      eventually(
        () => of("suspended").length >= count,
        () => "the server has noticed",
      ),
    /** What became of the session: client's error, and the server's code. */
    ends: async () => {
      const error = await session.closed;
      await eventually(
        () => of("disconnected").some(({ session }) => session === 1),
        () => `the server's session is over: ${JSON.stringify(served.events)}`,
      );
      const ended = of("disconnected").find(({ session }) => session === 1);
      return [error.code, ended?.code];
    },
    [Symbol.asyncDispose]: async () => {
      await session.close();
      await proxy[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

const outcome = (promise: Promise<unknown>): Promise<LimpetError> =>
  promise.then((value) => {
    throw new Error(`It came to ${JSON.stringify(value)}`);
  }, (error) => error);

describe("a command goes on", () => {
  test.each<[Break, Partial<Limits>]>([
    ["reset", {}],
    ["close", {}],
    ["stall", SOON],
  ])(
    "when its connection is lost by %s",
    async (how, limits) => {
      await using all = await resuming({}, {}, {}, limits);
      const { session, proxy, events, of } = all;
      const child = session.spawn("cat", { stdin: "piped" });
      const writer = child.stdin.getWriter();
      const reader = child.stdout.getReader();
      const echo = async (text: string) => {
        await writer.write(new TextEncoder().encode(text));
        const { value } = await reader.read();
        expect(new TextDecoder().decode(value)).toBe(text);
      };
      await echo("before");
      proxy.cut(how);
      await echo("after");
      await writer.close();
      expect(await child.status).toMatchObject({ code: 0 });
      // Who has to be heard of every 300 ms may be lost again on a busy machine.
      const once = how === "stall" ? 2 : events.length;
      expect(events.slice(0, once)).toMatchObject([
        { type: "disconnected" },
        { type: "resumed", attempt: 1 },
      ]);
      const [suspended, ...more] = of("suspended");
      expect(suspended).toMatchObject({
        session: 1,
        code: "connection_lost",
        graceMs: 60_000,
      });
      const [resumed, ...again] = of("resumed");
      expect(resumed).toMatchObject({
        session: 1,
        connection: 2,
        identity: "default",
      });
      if (how !== "stall") expect([more, again]).toEqual([[], []]);
      expect(of("authenticated")).toHaveLength(1);
    },
  );

  test.each<Hush>(["at once", "hello", "proof"])(
    "when the way back stalls in its handshake: %s",
    async (hush) => {
      // No deadline of a handshake is waited for.
      await using all = await resuming({}, {}, {}, {
        handshakeTimeoutMs: 600_000,
      });
      const { session, proxy, events, of } = all;
      const child = session.spawn("cat", { stdin: "piped" });
      await child.pid;
      proxy.hushed.push(hush, hush);
      proxy.cut("reset");
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("once"));
      await writer.close();
      expect(await textOf(child.stdout)).toBe("once");
      expect(await child.status).toMatchObject({ code: 0 });
      expect(events).toMatchObject([
        { type: "disconnected" },
        { type: "resumed", attempt: 3 },
      ]);
      expect(proxy.count).toBe(4);
      // Those that stalled were given up, and their places are free.
      await eventually(
        () => of("disconnected").length + of("suspended").length === 3,
        () => `they are gone: ${JSON.stringify(all.served.events)}`,
      );
    },
  );

  test("when two ways back prove themselves, and the server hears of the older one last", async () => {
    const waiting: (() => void)[] = [];
    let isHeld = false;
    const gate = () =>
      new Promise<void>((pass) => isHeld ? waiting.push(pass) : pass());
    await using all = await resuming({}, {}, { gate });
    const { session, proxy, events, of } = all;
    const child = session.spawn("cat", { stdin: "piped" });
    await child.pid;
    isHeld = true;
    proxy.cut("reset");
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("once"));
    await eventually(() => waiting.length === 2, () => "two have proved");
    isHeld = false;
    const [older, newer] = waiting;
    newer();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toBe("once");
    expect(events).toMatchObject([{}, { type: "resumed", attempt: 2 }]);
    const { count } = proxy;
    older();
    // It takes the session away from the newer one at most, and not for long.
    await eventually(
      () => of("disconnected").length > 0 || of("suspended").length > 1,
      () => "the older one has come to its end",
    );
    await writer.close();
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    expect(await child.status).toMatchObject({ code: 0 });
    expect(proxy.count).toBeLessThanOrEqual(count + 1);
  });

  test("while nobody can connect: it writes, ends, and all of it is there", async () => {
    await using all = await resuming();
    const { session, proxy, events } = all;
    const go = join(folder, "go");
    const child = session.spawn(
      `until test -e ${go}; do sleep 0.05; done; echo one; echo two >&2; exit 7`,
      { shell: true },
    );
    await child.pid;
    proxy.refusing = true;
    proxy.cut("reset");
    await all.untilSuspended();
    const other = await all.served.connect();
    await other.output("touch", { args: [go] });
    await other.close();
    await eventually(
      () => all.of("command_ended").length > 0 && proxy.count > 3,
      () => "the command has ended, and the client has tried more than once",
    );
    proxy.refusing = false;
    expect(await textOf(child.stdout)).toBe("one\n");
    expect(await textOf(child.stderr)).toBe("two\n");
    expect(await child.status).toMatchObject({ code: 7 });
    const back = events.at(-1);
    expect(back?.type).toBe("resumed");
    if (back?.type === "resumed") expect(back.attempt).toBeGreaterThan(2);
  });

  test("its deadline counts while there is no connection", async () => {
    await using all = await resuming();
    const { session, proxy } = all;
    const child = session.spawn("sleep", { args: ["100"], timeoutMs: 700 });
    await child.pid;
    proxy.refusing = true;
    proxy.cut("reset");
    await eventually(
      () => all.of("command_ended").length > 0,
      () => "it was ended",
    );
    expect(all.of("resumed")).toEqual([]);
    proxy.refusing = false;
    expect(await child.status).toMatchObject({ reason: "timed_out" });
  });

  test("a signal given meanwhile reaches it, and a command is started once", async () => {
    await using all = await resuming();
    const { session, proxy } = all;
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    proxy.refusing = true;
    proxy.cut("reset");
    await all.untilSuspended();
    const file = join(folder, "starts");
    const second = session.spawn(`echo started >> ${file}`, { shell: true });
    child.kill("SIGTERM");
    proxy.refusing = false;
    expect(await child.status).toMatchObject({ signal: "SIGTERM" });
    expect(await second.status).toMatchObject({ code: 0 });
    expect(readFileSync(file, "utf8")).toBe("started\n");
  });
});

describe("the session is over", () => {
  test("when the client stays away: at the grace, and not before", async () => {
    await using all = await resuming({ graceMs: 400 }, { timeoutMs: 0 });
    const { session, proxy } = all;
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    proxy.refusing = true;
    proxy.cut("reset");
    const error = await outcome(child.status);
    expect(error).toMatchObject({ code: "connection_lost" });
    expect(error.message).toMatch(/It was tried to go on over another one: /);
    expect(await all.ends()).toEqual(["connection_lost", "connection_lost"]);
    const [suspended] = all.of("suspended");
    const [ended] = all.of("disconnected");
    const [command] = all.of("command_ended");
    expect(ended.time - suspended.time).toBeGreaterThanOrEqual(395);
    expect(command.time - suspended.time).toBeGreaterThanOrEqual(395);
    expect(command.status).toMatchObject({ reason: "disconnected" });
    expect(ended.message).toMatch(/nobody came back within 400 ms$/);
  });

  test("for what the server said last, not for the time that ran out", async () => {
    const events: ResumeEvent[] = [];
    await using served = await serving();
    await using proxy = await proxyTo(served.target.port);
    let isGone = false;
    const dial: Dialler = async (signal) => {
      if (!isGone) return await proxy.dial(signal);
      // Longer than there is for the very last attempt.
      await new Promise((done) => setTimeout(done, 30));
      throw new LimpetError("connection_failed", "Box is being moved");
    };
    await using session = await connect(dial, {
      token: TOKEN,
      resume: resumable({ timeoutMs: 500, onEvent: (one) => events.push(one) }),
    });
    isGone = true;
    proxy.cut("reset");
    const { code, message } = await session.closed;
    expect(code).toBe("connection_lost");
    expect(message).toContain("to go on over another one: Box is being moved");
  });

  test("and how long it tried is told in whole milliseconds", async () => {
    await using served = await serving();
    await using proxy = await proxyTo(served.target.port);
    let isGone = false;
    const dial: Dialler = async (signal) => {
      if (!isGone) return await proxy.dial(signal);
      return await new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
      });
    };
    await using session = await connect(dial, {
      token: TOKEN,
      resume: resumable({ timeoutMs: 300 }),
    });
    isGone = true;
    proxy.cut("reset");
    const { message } = await session.closed;
    expect(message).toMatch(/ again took over \d+ ms$/);
  });

  test("when the client comes back to a server that knows it no more", async () => {
    await using all = await resuming({ graceMs: 1 }, { timeoutMs: 60_000 });
    const { session, proxy } = all;
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    proxy.refusing = true;
    proxy.cut("reset");
    await eventually(
      () => all.of("disconnected").length > 0,
      () => "the server has given it up",
    );
    proxy.refusing = false;
    const error = await outcome(child.status);
    expect(error).toMatchObject({ code: "connection_lost" });
    expect(error.message).toMatch(/the server has no such session$/);
  });

  test("at once when it is closed without a connection", async () => {
    await using all = await resuming();
    const { session, proxy } = all;
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    proxy.refusing = true;
    proxy.cut("reset");
    await all.untilSuspended();
    await session.close();
    expect(await outcome(child.status)).toMatchObject({ code: "closed" });
    const { count } = proxy;
    await all.served.server.close(0);
    // But one that was on its way.
    expect(proxy.count).toBeLessThanOrEqual(count + 1);
    expect(await all.ends()).toEqual(["closed", "shutting_down"]);
  });

  test("when the server closes", async () => {
    await using all = await resuming();
    const { session, proxy } = all;
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    await all.served.server.close(0);
    expect(await all.ends()).toEqual(["shutting_down", "shutting_down"]);
    expect(all.of("suspended")).toEqual([]);
    expect(proxy.count).toBe(1);
    expect(await child.status).toMatchObject({ reason: "shutting_down" });
  });

  test("when its identity is revoked meanwhile", async () => {
    const identities = await Identities.from([{ name: "ann", token: TOKEN }]);
    await using all = await resuming({}, {}, {
      token: undefined,
      authenticator: identities,
    });
    const { session, proxy } = all;
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    proxy.refusing = true;
    proxy.cut("reset");
    await all.untilSuspended();
    const { server } = all.served;
    server.replaceAuthenticator(await Identities.from([]));
    await server.endSessions(({ name }) => name === "ann");
    expect(all.of("disconnected")).toMatchObject([{ code: "unauthenticated" }]);
    proxy.refusing = false;
    const error = await outcome(child.status);
    expect(error).toMatchObject({ code: "connection_lost" });
    expect(error.message).toMatch(/did not accept our proof/);
    // Final: it is not tried again.
    expect(proxy.count).toBeLessThan(20);
    expect(await session.closed).toMatchObject({ code: "connection_lost" });
  });

  test("with its connection, if the server keeps no sessions", async () => {
    await using all = await resuming({ graceMs: 0 });
    const { session, proxy, events } = all;
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    proxy.cut("reset");
    expect(await outcome(child.status)).toMatchObject({
      code: "connection_lost",
    });
    expect(await all.ends()).toEqual(["connection_lost", "connection_lost"]);
    expect([events, all.of("suspended"), proxy.count]).toEqual([[], [], 1]);
  });

  test("with its connection, if its identity's sessions are not kept", async () => {
    const authenticator = await Identities.from([
      { name: "ann", token: TOKEN, graceMs: 0 },
    ]);
    await using all = await resuming({}, {}, {
      token: undefined,
      authenticator,
    });
    all.proxy.cut("reset");
    expect(await all.ends()).toEqual(["connection_lost", "connection_lost"]);
    expect(all.of("suspended")).toEqual([]);
  });
});

test("a session without a connection counts among the sessions, and its client has its place", async () => {
  const bounds = { maxSessions: 1, maxConnectionsPerIdentity: 1 };
  await using all = await resuming(bounds, {}, {}, SOON);
  const { proxy, session, served } = all;
  proxy.refusing = true;
  proxy.cut("reset");
  await all.untilSuspended();
  expect(await outcome(served.connect())).toMatchObject({
    code: "limit_exceeded",
    message: expect.stringContaining("maxSessions"),
  });
  proxy.refusing = false;
  const echo = async (text: string) =>
    new TextDecoder().decode(
      (await session.output("echo", { args: [text] })).stdout,
    );
  expect(await echo("here")).toBe("here\n");
  // The connection that was stalled still has a place, until the newer takes it.
  proxy.cut("stall");
  expect(await echo("on")).toBe("on\n");
  await session.close();
  await eventually(
    () => all.of("disconnected").some(({ session }) => session === 1),
    () => "it is over",
  );
  await (await served.connect()).close();
});

test("the server goes down: what runs without a client comes to its end", async () => {
  await using all = await resuming();
  const { session, proxy, served } = all;
  const file = join(folder, "drained");
  const child = session.spawn(`sleep 0.5; echo done > ${file}`, {
    shell: true,
  });
  await child.pid;
  proxy.refusing = true;
  proxy.cut("reset");
  await all.untilSuspended();
  await served.server.close({ drainMs: 20_000 });
  expect(readFileSync(file, "utf8")).toBe("done\n");
  expect(all.of("disconnected")).toMatchObject([{ code: "shutting_down" }]);
  await session.close();
});

test("a byte stream that is there already cannot be dialled again", async () => {
  await using served = await serving();
  const duplex = await served.dial();
  const options = { token: TOKEN, resume: resumable() };
  expect(await outcome(connect(duplex, options))).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("give connect() a function"),
  });
});
