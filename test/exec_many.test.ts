import { describe, expect, test } from "vitest";
import type { RemoteCommand } from "../core/exec/client.ts";
import { textOf } from "./support/bytes.ts";
import { untilGone } from "./support/processes.ts";
import { serverFor, useServer } from "./support/servers.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

describe(`a server on ${serverFor(1)}`, () => {
  const server = useServer(serverFor(1));

  // What could mix them up is the core's; a runtime's own part shows sooner.
  const count = serverFor(1) === "bun" ? 1_000 : 300;

  test(
    `${count} commands at once, each with its own output and code`,
    async () => {
      await using session = await server().connect();
      const outcomes = await Promise.all(
        numbers(count).map(async (i) => {
          const args = [
            "-c",
            'echo "out $1"; echo "err $1" >&2; exit $(($1 % 256))',
            "sh",
            String(i),
          ];
          const { code, stdout, stderr } = await session.output("sh", { args });
          const decoder = new TextDecoder();
          return [code, decoder.decode(stdout), decoder.decode(stderr)];
        }),
      );
      expect(outcomes).toEqual(
        numbers(count).map((i) => [i % 256, `out ${i}\n`, `err ${i}\n`]),
      );
    },
  );
});

describe(`a server on ${serverFor(2)}`, () => {
  const server = useServer(serverFor(2), ["--max-commands", "5"]);

  test("one command's sleep delays no other", async () => {
    await using session = await server().connect();
    const sleeper = session.spawn("sleep", { args: ["100"] });
    let settled = false;
    sleeper.status.then(() => settled = true);
    for (const i of numbers(20)) {
      expect(await session.output("echo", { args: [`${i}`] }))
        .toMatchObject({ code: 0 });
    }
    expect(settled).toBe(false);
    sleeper.terminate();
    expect(await sleeper.status).toMatchObject({ reason: "cancelled" });
  });

  test("refuses one command too many and names the limit", async () => {
    await using session = await server().connect();
    const sleepers = numbers(5).map(() =>
      session.spawn("sleep", { args: ["100"] })
    );
    const error = await session.output("true").catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: "LimpetError",
      code: "limit_exceeded",
      message: expect.stringContaining("maxCommands (--max-commands)"),
      exitCode: null,
    });
    expect(error.message).toContain("5 commands");
    // The limit is per session, and the session has taken no harm.
    await using second = await server().connect();
    expect(await second.output("true")).toMatchObject({ code: 0 });
    sleepers[0].terminate();
    await sleepers[0].status;
    expect(await session.output("true")).toMatchObject({ code: 0 });
    const pids = await Promise.all(sleepers.map(({ pid }) => pid));
    await session.close();
    await untilGone(pids);
  });

  test("a command that could not start takes no place", async () => {
    await using session = await server().connect();
    for (const _ of numbers(10)) {
      await expect(session.output("no-such-command-here")).rejects
        .toMatchObject({ code: "not_found" });
    }
    const all = numbers(5).map(() => session.output("true"));
    expect((await Promise.all(all)).every(({ success }) => success)).toBe(true);
  });

  test("the client's own limit on channels is told as such", async () => {
    await using session = await server().connect({
      limits: { maxChannels: 2 },
    });
    const running = numbers(2).map(() =>
      session.spawn("cat", { stdin: "piped" })
    );
    expect(() => session.spawn("true")).toThrow(expect.objectContaining({
      code: "limit_exceeded",
      message: expect.stringContaining("maxChannels"),
    }));
    await expect(session.output("true")).rejects.toMatchObject({
      code: "limit_exceeded",
    });
    for (const child of running) {
      await child.stdin.close();
      expect(await textOf(child.stdout)).toBe("");
      expect(await textOf(child.stderr)).toBe("");
      await child.status;
    }
    expect(await session.output("true")).toMatchObject({ code: 0 });
  });

  test("many sessions at once do not meet", async () => {
    const outputs = await Promise.all(
      numbers(20).map(async (i) => {
        await using session = await server().connect();
        const child: RemoteCommand = session.spawn("cat", { stdin: "piped" });
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(`session ${i}`));
        await writer.close();
        return await textOf(child.stdout);
      }),
    );
    expect(outputs).toEqual(numbers(20).map((i) => `session ${i}`));
  });
});
