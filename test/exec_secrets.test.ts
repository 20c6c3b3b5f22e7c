import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { adapter } from "./support/adapter.ts";
import { eventually } from "./support/leaks.ts";
import { RUNTIMES } from "./support/runtimes.ts";
import { PLATFORM, serving } from "./support/serving.ts";
import { type ServerProcess, useServer } from "./support/servers.ts";
import { Server, type ServerEvent } from "../core/server.ts";

/** Every process's arguments and environment, with what they belong to. */
function processes(): { pid: number; args: string; env: string }[] {
  const read = (pid: string, name: string) => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, "latin1");
    } catch {
      return ""; // It ended, or belongs to somebody else.
    }
  };
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name))
    .map((pid) => ({
      pid: Number(pid),
      args: read(pid, "cmdline"),
      env: read(pid, "environ"),
    }));
}

/** Everything that a value says of itself, however it is looked at. */
function everything(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value !== "object" || value === null) return String(value);
  if (seen.has(value)) return "";
  seen.add(value);
  const own = Reflect.ownKeys(value).map((key) =>
    `${String(key)}: ${everything(Reflect.get(value, key), seen)}`
  );
  return [String(value), ...own].join("\n");
}

describe.each(RUNTIMES)("a server on %s", (runtime) => {
  const server = useServer(runtime, ["--verbose"], {
    LIMPET_SECRET: "server-only",
    LIMPET_TOKEN: "a-token-that-is-not-used",
    limpet_lower: "server-only",
    PUBLIC: "for everybody",
  });

  test("its token is in no argument list and no environment", async () => {
    const { token, pid } = server();
    await using session = await server().connect();
    const child = session.spawn("sleep", { args: ["100"] });
    const childPid = await child.pid;
    const all = processes();
    expect(all.map((each) => each.pid)).toEqual(
      expect.arrayContaining([pid, childPid]),
    );
    expect(all.find((each) => each.pid === pid)?.args).toContain("serve");
    expect(all.filter(({ args }) => args.includes(token))).toEqual([]);
    expect(all.filter(({ env }) => env.includes(token))).toEqual([]);
    child.terminate();
    await child.status;
  });

  test("commands inherit its environment, and nothing that is Limpet's", async () => {
    await using session = await server().connect();
    const { stdout } = await session.output("env", { env: { OWN: "x=y" } });
    const lines = new TextDecoder().decode(stdout).split("\n");
    expect(lines).toContain("PUBLIC=for everybody");
    expect(lines).toContain("OWN=x=y");
    expect(lines.filter((line) => /^limpet_/i.test(line))).toEqual([]);
    const asked = await session.output("env", { env: { LIMPET_OWN: "1" } });
    expect(new TextDecoder().decode(asked.stdout)).toContain("LIMPET_OWN=1\n");
  });

  test("it says its token in no message, log line or error", async () => {
    const { token } = server();
    const errors = await provoke(server());
    expect(errors.length).toBeGreaterThan(3);
    for (const error of errors) {
      expect(error).toMatchObject({ name: "LimpetError" });
      expect(everything(error)).not.toContain(token);
    }
    await eventually(
      () => /did not get in/.test(server().log()),
      () => `the server tells of it: ${server().log()}`,
    );
    expect(server().log()).not.toContain(token);
  });
});

/** Errors of all kinds, of a client that has the token and one that has not. */
async function provoke(server: ServerProcess): Promise<unknown[]> {
  const errors: unknown[] = [];
  const keep = (promise: Promise<unknown>) =>
    promise.then(() => {}, (error) => void errors.push(error));
  const { token } = server;
  await keep(connect(server.dial, { token: `${token}x` }));
  await keep(connect(server.dial, { token, signal: AbortSignal.abort() }));
  await keep(connect(server.dial, { token: token.slice(0, 9) }));
  const session = await server.connect();
  await keep(session.output("no-such-command-here"));
  await keep(Promise.resolve(session.$`exit 3`));
  const child = session.spawn("sleep", { args: ["100"] });
  await child.pid;
  await session.close();
  await keep(child.status);
  return errors;
}

test("a wrong token is refused without saying more, to either side", async () => {
  await using served = await serving();
  const wrong = "some-token-that-is-wrong";
  const error = await served.connect({ token: wrong }).catch((e) => e);
  expect(error).toMatchObject({ code: "unauthenticated" });
  await served.untilDisconnected(1);
  expect(everything(error)).not.toContain(wrong);
  expect(everything(served.events)).not.toContain(wrong);
  expect(served.spawned).toEqual([]);
});

test("the events of a server have no token and no environment", async () => {
  const token = "the-token-of-this-very-test";
  const events: ServerEvent[] = [];
  const server = new Server({
    token,
    platform: PLATFORM,
    spawner: adapter.spawner,
    environment: () => ({ PATH: "/bin:/usr/bin", LIMPET_TOKEN: token }),
    onEvent: (event) => events.push(event),
  });
  const listener = await adapter.listen({
    kind: "tcp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const listening = server.listen(listener);
  const port = Number(new URL(listener.address).port);
  const dial = () => adapter.dial({ kind: "tcp", hostname: "127.0.0.1", port });
  const session = await connect(dial, { token });
  const env = { SECRET: "of the client" };
  const { stdout } = await session.output("env", { env });
  expect(new TextDecoder().decode(stdout)).not.toContain(token);
  await session.close();
  await server.close();
  await listening;
  expect(events.map(({ type }) => type)).toEqual([
    "connected",
    "authenticated",
    "command_started",
    "command_ended",
    "disconnected",
  ]);
  expect(everything(events)).not.toContain(token);
  expect(everything(events)).not.toContain("of the client");
  expect(everything(server)).not.toContain(token);
  expect(everything(session)).not.toContain(token);
});
