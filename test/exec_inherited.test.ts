import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Session } from "../core/client.ts";
import type { OutputOptions } from "../core/options.ts";
import { inherited } from "../core/exec/environment.ts";
import { descriptors } from "./support/leaks.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { startServer } from "./support/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "limpet-inherited-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What systemd and others tell a service of itself. */
const OWN = {
  LIMPET_TOKEN: "0123456789abcdef",
  limpet_lower: "x",
  CREDENTIALS_DIRECTORY: "/run/credentials/limpet.service",
  NOTIFY_SOCKET: "/run/systemd/notify",
  LISTEN_FDS: "1",
  LISTEN_PID: "1",
  LISTEN_FDNAMES: "limpet",
  WATCHDOG_USEC: "1000",
  WATCHDOG_PID: "1",
  INVOCATION_ID: "0123",
  JOURNAL_STREAM: "8:1",
  MAINPID: "1",
  SYSTEMD_EXEC_PID: "1",
  STATE_DIRECTORY: "/var/lib/limpet",
  TRACEPARENT: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
};

test("what is about the server itself is not inherited", () => {
  const rest = { PATH: "/bin", HOME: "/root", LISTEN: "1", NOTIFY: "1" };
  expect(inherited({ ...OWN, ...rest })).toEqual(rest);
});

describe(`a command of a server on ${THIS_RUNTIME}`, () => {
  test("has none of its variables, and none of its descriptors", async () => {
    const log = join(folder, "audit.log");
    await using server = await startServer(THIS_RUNTIME, ["--audit", log], OWN);
    const sessions = await Promise.all(
      Array.from({ length: 20 }, () => server.connect()),
    );
    const children = sessions.map((session) =>
      session.spawn("cat", { stdin: "piped" })
    );
    await Promise.all(children.map(({ pid }) => pid));
    const [session] = sessions;
    const text = async (line: string) => {
      const { stdout } = await session.output(line, { shell: true });
      return new TextDecoder().decode(stdout).trimEnd().split("\n");
    };
    for (const options of WAYS) {
      expect(await opened(session, options), JSON.stringify(options))
        .toEqual([]);
    }
    // One started in between must not have what is open for another one.
    const many = sessions.map((each, i) => opened(each, WAYS[i % WAYS.length]));
    expect((await Promise.all(many)).flat()).toEqual([]);
    const names = (await text("env")).map((each) => each.split("=")[0]);
    expect(names).toContain("PATH");
    expect(names.filter((name) => Object.hasOwn(OWN, name))).toEqual([]);
    await Promise.all(sessions.map((each) => each.close()));
  });

  test("nor where there is no room for named pipes", async () => {
    // Node gives it pairs of sockets then; the other two always do.
    const env = { TMPDIR: "/proc/nothing" };
    await using server = await startServer(THIS_RUNTIME, [], env);
    await using session = await server.connect();
    const child = session.spawn("cat", { stdin: "piped" });
    await child.pid;
    for (const options of WAYS) {
      expect(await opened(session, options), JSON.stringify(options))
        .toEqual([]);
    }
  });
});

/** Ways to start a command that differ in what is opened for it. */
const WAYS: readonly OutputOptions[] = [
  {},
  { stdin: "some input" },
  { merge: true },
  { stderr: "null" },
  // A shell unpacks what is not UTF-8, and becomes the command.
  { encoding: "gbk", env: { WORD: "\u4f60" } },
];

/** What a command finds open besides its own three. */
async function opened(
  session: Session,
  options: OutputOptions,
): Promise<string[]> {
  // Whoever started this test may have left something open for all of us.
  const ours = descriptors().map((each) => each.replace(/^\d+ /, ""));
  const args = ["-l", "/proc/self/fd"];
  const { stdout } = await session.output("ls", { args, ...options });
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
  expect(lines.length).toBeGreaterThan(3);
  return lines.flatMap((each) => {
    const [, fd, target] = /(\d+) -> (.*)$/.exec(each) ?? [];
    // The directory itself is what ls has opened.
    const known = /^[012]$/.test(fd) || /^\/proc\/\d+\/fd$/.test(target);
    return known || fd === undefined || ours.includes(target) ? [] : [each];
  });
}
