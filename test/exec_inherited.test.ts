import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
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
    const text = async (line: string, stdin?: string) => {
      const { stdout } = await session.output(line, { shell: true, stdin });
      return new TextDecoder().decode(stdout).trimEnd().split("\n");
    };
    // Whoever started this test may have left something open for all of us.
    const ours = descriptors().map((each) => each.replace(/^\d+ /, ""));
    const opened = async (stdin?: string) => {
      const lines = await text("ls -l /proc/self/fd", stdin);
      expect(lines.length).toBeGreaterThan(3);
      return lines.flatMap((each) => {
        const [, fd, target] = /(\d+) -> (.*)$/.exec(each) ?? [];
        // The directory itself is what ls has opened.
        const known = /^[012]$/.test(fd) || /^\/proc\/\d+\/fd$/.test(target);
        return known || fd === undefined || ours.includes(target) ? [] : [each];
      });
    };
    expect(await opened()).toEqual([]);
    expect(await opened("some input")).toEqual([]);
    const names = (await text("env")).map((each) => each.split("=")[0]);
    expect(names).toContain("PATH");
    expect(names.filter((name) => Object.hasOwn(OWN, name))).toEqual([]);
    await Promise.all(sessions.map((each) => each.close()));
  });
});
