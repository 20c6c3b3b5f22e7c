import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { startLimpet, temporaryFolder } from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { eventually } from "./support/leaks.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { startServer } from "./support/servers.ts";

const folder = temporaryFolder();
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function parse(text: string): Record<string, unknown>[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

describe(`serve --audit on ${THIS_RUNTIME}`, () => {
  test("writes down who ran what, and no secret", async () => {
    const file = join(folder, "audit.log");
    const server = await startServer(THIS_RUNTIME, ["--audit", file]);
    const { address, tokenFile, token } = server;
    const { code } = await limpetHere([
      "exec",
      "-i",
      "--token-file",
      tokenFile,
      "-e",
      "PASSWORD=hunter2",
      "-w",
      "/",
      address,
      "--",
      "sh",
      "-c",
      "cat; exit 3",
      "\x1b[2J\n\u202e",
    ], { input: "the input", env: { TRACEPARENT: TRACE } });
    expect(code).toBe(3);
    // Its server may hear of its end after the next one's beginning.
    await eventually(
      () => readFileSync(file, "utf8").includes('"disconnected"'),
      () => readFileSync(file, "utf8"),
    );
    await expect(server.connect({ token: `${token}x` })).rejects.toThrow();
    await server.stop();
    expect(server.log()).toContain(
      `audit log: ${file}; as long as it cannot be written, nobody connects ` +
        "and no command starts\n",
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, "utf8");
    for (const secret of [token, "hunter2", "the input"]) {
      expect(text).not.toContain(secret);
    }
    expect(text).toMatch(/^[ -~\n]*$/);
    const events = parse(text);
    expect(events.map(({ event, session }) => `${session} ${event}`)).toEqual([
      "1 connected",
      "1 authenticated",
      "1 command_started",
      "1 command_ended",
      "1 disconnected",
      "2 connected",
      "2 disconnected",
    ]);
    expect(events[2]).toMatchObject({
      identity: "default",
      source: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      argv: ["sh", "-c", "cat; exit 3", "\x1b[2J\n\u202e"],
      cwd: "/",
      env: ["PASSWORD"],
      traceparent: TRACE,
    });
    expect(events[3]).toMatchObject({
      code: 3,
      signal: null,
      reason: null,
      bytes: { stdin: 9, stdout: 9, stderr: 0 },
      durationMs: expect.any(Number),
    });
    expect(events[6]).toMatchObject({
      identity: null,
      reason: "unauthenticated",
    });
  });

  test("goes on in a new file when told that the old one was moved", async () => {
    const file = join(folder, "rotated.log");
    const server = await startServer(THIS_RUNTIME, ["--audit", file]);
    await (await server.connect()).close();
    const written = (path: string) => () =>
      existsSync(path) && readFileSync(path, "utf8").includes("disconnected");
    await eventually(written(file), server.log);
    renameSync(file, `${file}.1`);
    process.kill(server.pid, "SIGHUP");
    await eventually(() => existsSync(file), server.log);
    await (await server.connect()).close();
    await eventually(written(file), server.log);
    await server.stop();
    expect(
      parse(readFileSync(`${file}.1`, "utf8")).map(({ session }) => session),
    )
      .toEqual([1, 1, 1]);
    expect(parse(readFileSync(file, "utf8")).map(({ session }) => session))
      .toEqual([2, 2, 2]);
  });

  test("takes nothing, or goes on, when there is no room left", async () => {
    const run = async (mode: string) => {
      const args = ["--audit", "/dev/full", "--audit-failure", mode];
      // Deno opens nothing in /dev unless it may do everything.
      const runtime = THIS_RUNTIME === "deno" ? "bun" : THIS_RUNTIME;
      await using server = await startServer(runtime, args);
      const outcome = await limpetHere([
        "exec",
        "--token-file",
        server.tokenFile,
        server.address,
        "--",
        "echo",
        "ran",
      ]);
      await eventually(
        () => server.log().includes("cannot be written: "),
        () => server.log(),
      );
      return outcome;
    };
    const stopped = await run("stop");
    expect(stopped.stdout).toBe("");
    expect(stopped.code).not.toBe(0);
    expect(stopped.stderr).toContain("cannot write its audit log");
    expect(await run("continue")).toMatchObject({ code: 0, stdout: "ran\n" });
  });

  test("writes to stderr, between its own words", async () => {
    const args = ["--audit", "stderr"];
    const server = await startServer(THIS_RUNTIME, args);
    await (await server.connect()).close();
    await server.stop();
    const lines = server.log().split("\n").filter((line) => line[0] === "{");
    expect(lines.map((line) => JSON.parse(line).event)).toEqual([
      "connected",
      "authenticated",
      "disconnected",
    ]);
  });

  test("says at once what it cannot do", async () => {
    const serve = (...args: string[]) =>
      startLimpet(["serve", "tcp://127.0.0.1:0", ...args], {
        env: { LIMPET_TOKEN: "0123456789abcdef" },
      }).outcome;
    const [nowhere, mode, alone] = await Promise.all([
      serve("--audit", join(folder, "none", "log")),
      serve("--audit", "x", "--audit-failure", "perhaps"),
      serve("--audit-failure", "stop"),
    ]);
    // Not 255: systemd would start it again and again.
    expect(nowhere.code).toBe(125);
    expect(nowhere.stderr).toContain("Cannot open the audit log ");
    expect(mode).toMatchObject({ code: 125 });
    expect(mode.stderr).toContain("perhaps is none of stop and continue");
    expect(alone.stderr).toContain("--audit-failure needs --audit FILE");
  });
});

// Mounting is root's to do.
describe.runIf(process.getuid?.() === 0)(
  `serve --audit on ${THIS_RUNTIME}, on a full disk`,
  () => {
    /** A disk of 64 KiB with a server that keeps its log there. */
    async function onDisk(mode: string) {
      const disk = join(folder, `disk-${mode}`);
      mkdirSync(disk);
      const options = "size=64k,mode=700";
      execFileSync("mount", ["-t", "tmpfs", "-o", options, "limpet", disk]);
      onTestFinished(() => {
        execFileSync("umount", ["--lazy", disk]);
      });
      const file = join(disk, "audit.log");
      const args = ["--audit", file, "--audit-failure", mode];
      const server = await startServer(THIS_RUNTIME, args);
      // Of a test that fails, too, nothing is to be left.
      onTestFinished(() => server.stop());
      /** Null, or why nothing could be run. */
      const visit = async () => {
        try {
          const session = await server.connect();
          await session.output("true").finally(() => session.close());
          return null;
        } catch (error) {
          return error as Error;
        }
      };
      // What is full is the disk; the log's last page may still have room.
      const filled = async () => {
        await visit();
        const big = join(disk, "big");
        expect(() => writeFileSync(big, new Uint8Array(65_536))).toThrow(
          "ENOSPC",
        );
        while (!server.log().includes("cannot be written: ")) await visit();
      };
      const freed = () => rmSync(join(disk, "big"));
      const lines = () => readFileSync(file, "utf8").trimEnd().split("\n");
      return { server, visit, filled, freed, lines };
    }

    test("stop: nobody connects until there is room, and nothing is lost", async () => {
      const { server, visit, filled, freed, lines } = await onDisk("stop");
      await filled();
      expect((await visit())?.message).toContain(
        "Server cannot write its audit log",
      );
      freed();
      await eventually(
        () => server.log().includes("can be written again"),
        server.log,
      );
      await using session = await server.connect();
      expect((await session.output("true")).code).toBe(0);
      await session.close();
      await server.stop();
      const events = parse(lines().join("\n"));
      const came = events.filter(({ event }) => event === "connected");
      expect(came.map(({ session }) => session)).toEqual(
        came.map((_, i) => i + 1),
      );
      const went = events.filter(({ event }) => event === "disconnected");
      expect(went).toHaveLength(came.length);
      expect(events.filter(({ event }) => event === "audit_gap")).toEqual([]);
    });

    test("continue: all goes on, and what is lost is counted", async () => {
      const { server, filled, freed, lines } = await onDisk("continue");
      await filled();
      await using session = await server.connect();
      expect((await session.output("true")).code).toBe(0);
      freed();
      expect((await session.output("true")).code).toBe(0);
      await session.close();
      await server.stop();
      const read = lines().map((line) => {
        try {
          return JSON.parse(line);
        } catch {
          return { event: "torn" };
        }
      });
      const [gap] = read.filter(({ event }) => event === "audit_gap");
      expect(gap.lost).toBeGreaterThan(0);
      // At most the one line that was half written is no line.
      const at = read.findIndex(({ event }) => event === "torn");
      expect([-1, read.indexOf(gap) - 1]).toContain(at);
      expect(read.at(-1)).toMatchObject({ event: "disconnected" });
    });
  },
);
