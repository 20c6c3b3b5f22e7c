import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { Reporter } from "../core/cli/report.ts";
import type { CliRuntime } from "../core/cli/runtime.ts";
import { connect } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import { temporaryFolder } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { BytesTerminal } from "./support/pty.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { startServer } from "./support/servers.ts";
import { TOKEN } from "./support/serving.ts";

/** A stderr that takes a line when it is let. */
class Stderr {
  text = "";
  open = deferred<void>();

  lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }

  reporter(): Reporter {
    const stderr = {
      isTerminal: false,
      columns: () => null,
      write: async (bytes: Uint8Array) => {
        await this.open.promise;
        this.text += new TextDecoder().decode(bytes);
      },
    };
    const runtime: Pick<CliRuntime, "isWindows" | "env" | "stderr"> = {
      isWindows: false,
      env: () => undefined,
      stderr,
    };
    return new Reporter(runtime as CliRuntime, "info");
  }
}

test("what cannot be said is held up to a bound, counted, and told when it can be", async () => {
  const stderr = new Stderr();
  const report = stderr.reporter();
  const line = (i: number) => `${String(i).padStart(6, "0")}${"x".repeat(85)}`;
  for (let i = 0; i < 100_000; i++) report.info(line(i));
  await report.flush(1);
  expect(stderr.text).toBe("");
  stderr.open.resolve();
  await report.flush();
  const kept = stderr.lines().length - 1;
  // A hundred characters each, of a quarter of a MiB.
  expect(kept).toBe(2_621);
  expect(stderr.lines()[kept - 1]).toBe(`limpet: ${line(kept - 1)}`);
  expect(stderr.lines()[kept]).toBe(
    `limpet: ${100_000 - kept} lines are missing here: stderr took nothing`,
  );
  report.info("on");
  await report.flush();
  expect(stderr.lines().slice(kept + 1)).toEqual(["limpet: on"]);
});

test("how many are missing is said where they are", async () => {
  const stderr = new Stderr();
  const report = stderr.reporter();
  const long = "x".repeat(262_144);
  // The first is taken however long it is.
  for (const text of ["1" + long, "2" + long, "3" + long]) report.warn(text);
  report.error("4");
  stderr.open.resolve();
  await report.flush();
  report.info("5");
  await report.flush();
  expect(stderr.lines().map((text) => text.slice(0, 24))).toEqual([
    "limpet: 1xxxxxxxxxxxxxxx",
    "limpet: 3 lines are miss",
    "limpet: 5",
  ]);
});

/** Stops and starts a terminal's output, as Ctrl-S and Ctrl-Q do. */
function flow(terminal: string, how: "TCOOFF" | "TCOON"): void {
  execFileSync("python3", [
    "-c",
    "import os, sys, termios\n" +
    "fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n" +
    "termios.tcflow(fd, getattr(termios, sys.argv[2]))",
    terminal,
    how,
  ]);
}

test(`a server on ${THIS_RUNTIME} whose terminal is stopped goes on, and ends`, async () => {
  const folder = temporaryFolder();
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, TOKEN, { mode: 0o600 });
  const address = `unix:${join(folder, "s")}`;
  const terminal = new BytesTerminal(
    [
      ...["serve", "-v", address, "--token-file", tokenFile],
      ...["--audit", "stderr", "--audit-failure", "continue"],
    ],
    (bytes) => new TextDecoder().decode(bytes),
  );
  await terminal.shows("listening on");
  const dial = () => adapter.dial(parseAddress(address));
  const session = await connect(dial, { token: TOKEN });
  const run = async (word: string) =>
    new TextDecoder().decode(
      (await session.output(`: ${word}; echo $PPID`, { shell: true })).stdout,
    );
  const pid = Number(await run("first"));
  await terminal.shows('"command_ended"');
  const tty = `/proc/${pid}/fd/2`;
  flow(tty, "TCOOFF");
  for (const word of ["second", "third"]) {
    expect(Number(await run(word))).toBe(pid);
  }
  expect(terminal.text()).not.toContain("third");
  flow(tty, "TCOON");
  await terminal.shows("third");
  expect(terminal.text()).toContain("second");
  flow(tty, "TCOOFF");
  process.kill(pid, "SIGTERM");
  expect(await terminal.outcome).toMatchObject({ code: 0 });
  await session.close();
});

test(`a client on ${THIS_RUNTIME} whose terminal is stopped gives up when told to`, async () => {
  const interrupts = join(temporaryFolder(), "interrupts");
  writeFileSync(interrupts, "");
  await using server = await startServer(THIS_RUNTIME);
  const terminal = new BytesTerminal(
    [
      ...["exec", "--token-file", server.tokenFile, server.address, "-c"],
      `trap 'echo x >>${interrupts}' INT; echo ready; ` +
      "while :; do sleep 0.1; done",
    ],
    (bytes) => new TextDecoder().decode(bytes),
  );
  await terminal.shows("ready");
  const pid = await terminal.pid();
  flow(`/proc/${pid}/fd/2`, "TCOOFF");
  // Not at once: of signals that wait, the system passes on one.
  for (const passed of ["x\n", "x\nx\n"]) {
    process.kill(pid, "SIGINT");
    const text = () => readFileSync(interrupts, "utf8");
    await eventually(() => text() === passed, text);
  }
  process.kill(pid, "SIGINT");
  expect(await terminal.outcome).toMatchObject({ code: 130 });
  expect(terminal.text()).not.toContain("not waiting");
});
