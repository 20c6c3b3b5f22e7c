/**
 * The command line as a user has it: processes of their own, an environment of
 * their own, and what they wrote.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, expect } from "vitest";
import { concat } from "./bytes.ts";
import { eventually } from "./leaks.ts";
import { isAlive } from "./processes.ts";
import { cli, program, type Runtime, THIS_RUNTIME } from "./runtimes.ts";

/** How long a program may take unless a test says otherwise. */
const PATIENCE_MS = 120_000;

/** What is around a program. */
export interface RunOptions {
  /** Default: the runtime that the suite runs on. */
  readonly runtime?: Runtime;
  /** On top of {@linkcode environment}; null takes a variable out. */
  readonly env?: Readonly<Record<string, string | null>>;
  readonly cwd?: string;
  /** All of stdin, a descriptor, or "pipe" to write to it. Default: empty. */
  readonly input?: string | Uint8Array | number | "pipe";
  readonly timeoutMs?: number;
  /** It is for several tests, and ended by whoever started it. */
  readonly outlivesTest?: boolean;
}

/** How a program ended, and what it wrote. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly bytes: Uint8Array;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  /** Waits until the text is on stdout, or what ends the waiting is. */
  says(text: string): Promise<void>;
  complains(text: string): Promise<void>;
}

const running = new Set<ChildProcess>();

/** Ends what a test that failed half way did not wait for. */
export function endPrograms(): void {
  running.forEach((child) => child.kill("SIGKILL"));
}

/**
 * Where Deno keeps what it has loaded, whatever HOME says. Not asked of it: a
 * program that is waited for makes Bun open descriptors that it keeps.
 */
const DENO_DIR = process.env.DENO_DIR ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "deno");

/**
 * What a program finds around it: the path, and nothing of whoever runs the
 * suite. `HOME` is a folder that does not exist.
 */
export function environment(
  changes: Readonly<Record<string, string | null>> = {},
): Record<string, string> {
  const env: Record<string, string | null> = {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    HOME: "/nonexistent",
    LANG: "C.UTF-8",
    DENO_DIR,
    DENO_NO_UPDATE_CHECK: "1",
    LIMPET_TEST_NODE: program("node"),
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(env).filter((each): each is [string, string] =>
      each[1] !== null
    ),
  );
}

/** Starts a program with an argument list. */
export function start(
  [file, ...args]: readonly string[],
  options: RunOptions = {},
): Running {
  const { input, cwd, env, timeoutMs = PATIENCE_MS } = options;
  const piped = input === "pipe" || typeof input === "string" ||
    input instanceof Uint8Array;
  const child = spawn(file, args, {
    cwd,
    env: environment(env),
    stdio: [
      typeof input === "number" ? input : piped ? "pipe" : "ignore",
      "pipe",
      "pipe",
    ],
  });
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  child.stdout!.on("data", (chunk) => out.push(new Uint8Array(chunk)));
  child.stderr!.on("data", (chunk) => err.push(new Uint8Array(chunk)));
  const text = (chunks: Uint8Array[]) =>
    new TextDecoder().decode(concat(chunks));
  if (piped && input !== "pipe") {
    // A program may leave without having read it all.
    child.stdin!.on("error", () => {});
    child.stdin!.end(input);
  }
  if (!options.outlivesTest) running.add(child);
  let over = false;
  const outcome = new Promise<Outcome>((resolve, reject) => {
    const timer = options.outlivesTest ? undefined : setTimeout(() => {
      child.kill("SIGKILL");
      child.stdout!.destroy();
      child.stderr!.destroy();
      reject(
        new Error(
          `${args.slice(-6).join(" ")} ran for over ${timeoutMs} ms.\n` +
            `stdout: ${text(out).slice(-500)}\nstderr: ${text(err)}`,
        ),
      );
    }, timeoutMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      over = true;
      const bytes = concat(out);
      resolve({
        code,
        signal,
        bytes,
        stdout: new TextDecoder().decode(bytes),
        stderr: text(err),
      });
    });
  });
  outcome.catch(() => {});
  const until = async (chunks: Uint8Array[], wanted: string) => {
    const has = () => text(chunks).includes(wanted);
    const all = () => `"${wanted}" in ${text(out)}\nstderr: ${text(err)}`;
    await eventually(() => over || has(), all, timeoutMs);
    if (has()) return;
    const { code, signal } = await outcome;
    throw new Error(`It ended with ${code ?? signal} without ${all()}`);
  };
  return {
    pid: child.pid ?? 0,
    child,
    outcome,
    stdout: () => text(out),
    stderr: () => text(err),
    // Not `child.kill`, after which Deno reports that signal for the exit code.
    kill: (signal) => {
      if (child.pid === undefined) throw new Error("It has not started");
      if (!over && isAlive(child.pid)) process.kill(child.pid, signal);
    },
    says: (wanted) => until(out, wanted),
    complains: (wanted) => until(err, wanted),
  };
}

/** Starts `limpet`. */
export function startLimpet(
  args: readonly string[],
  options: RunOptions = {},
): Running {
  return start([...cli(options.runtime ?? THIS_RUNTIME), ...args], options);
}

/** Runs `limpet` to its end. */
export function limpet(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  return startLimpet(args, options).outcome;
}

/** A folder for the tests of one file, gone with them. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "limpet-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** One word of a shell line. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A folder with a program `limpet` in it, for PATH. */
export function binFolder(
  folder: string,
  runtime: Runtime = THIS_RUNTIME,
): string {
  const bin = join(folder, `bin-${runtime}`);
  mkdirSync(bin, { recursive: true });
  const path = join(bin, "limpet");
  const line = cli(runtime).map(quoted).join(" ");
  writeFileSync(path, `#!/bin/sh\nexec ${line} "$@"\n`);
  chmodSync(path, 0o755);
  return bin;
}

/** Runs a line in a shell that has `limpet`, as the reader of a manual would. */
export function startShell(
  line: string,
  bin: string,
  options: RunOptions = {},
): Running {
  const path = `${bin}:${process.env.PATH ?? "/usr/bin:/bin"}`;
  return start(["/bin/sh", "-c", line], {
    ...options,
    env: { PATH: path, ...options.env },
  });
}

/** Every message of the program's own begins with its name. */
export function expectOwnWords(stderr: string): void {
  for (const line of stderr.trimEnd().split("\n")) {
    expect(line).toMatch(/^limpet: /);
  }
}
