/**
 * A small process that starts commands in place of a large one.
 *
 * To start a command is to fork, which copies the page tables of the whole
 * process, and Node's event loop waits for it. The helper has little to copy,
 * and a processor of its own.
 *
 * @module
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { constants } from "node:os";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { type Program, toProgram } from "../../core/adapter/command.ts";
import { startError } from "../../core/adapter/os_error.ts";
import { deferred } from "../../core/deferred.ts";
import type { ExitStatus, ProcessHandle, Spawner } from "../../core/ports.ts";
import { type HelperProgram, helperPrograms } from "./helper_programs.ts";
import { type ChildPipes, makeMoreSoon } from "./pipes.ts";
import { ProcessGroup } from "./process_group.ts";
import { handleOf, spawnerWith, type Starter } from "./start.ts";

/** So many commands within so long, in ms, are worth a helper. */
const BUSY_COMMANDS = 8;
const BUSY_MS = 10_000;

/** So long, in ms, after one that did not come up another one is tried. */
const RETRY_MS = 60_000;

/** What has not come up in so long, in ms, is no helper. */
const COMING_UP_MS = 10_000;

/**
 * A helper that has not passed a SIGKILL on in so long, in ms, or not ended when
 * told to, stands still.
 */
const STANDSTILL_MS = 1_000;

/** Starts commands by a helper of its own. */
export interface SpawnHelper extends AsyncDisposable {
  readonly spawner: Spawner;
  /**
   * Ends the helper; commands start without one from then on. What it runs at
   * that time is killed, and how it ended is not known.
   */
  close(): Promise<void>;
}

/** See {@linkcode spawnHelper}. */
export interface SpawnHelperOptions {
  /**
   * A helper has ended that nobody closed: somebody killed it, perhaps the system,
   * for want of memory. What it ran is killed, and how it ended is not known.
   */
  readonly onLost?: () => void;
}

/** What a helper says when it has come up. */
const UP = '{"up":true}';

/** What it tells from then on, by the number of the command. */
type Told =
  & { readonly id: number }
  & (
    | { readonly pid: number }
    | { readonly error: { readonly code?: string; readonly message: string } }
    | {
      readonly code: number | null;
      /** By its number: not all have a name. */
      readonly signal: number | null;
      readonly isGone: boolean;
    }
  );

/** What becomes of a command that the helper was asked to start. */
interface Asked {
  started(pid: number): void;
  failed(error: unknown): void;
  ended(status: ExitStatus, isGone: boolean): void;
  /** The helper has ended before the command. */
  lost(): void;
}

/**
 * A spawner for a program that starts many commands and has much memory: a
 * helper starts them in its place, a Python (3.8 or later) of 10 MiB where Linux
 * has one in `/usr/bin` or `/usr/local/bin`, else another Node of some 45 MiB (8
 * of them its own). It comes when eight commands have started within ten seconds;
 * before that, on Windows and on Bun, and wherever it cannot be started, they
 * start as `spawner` starts them. It ends with this process, however that ends.
 *
 * Commands see no difference but their parent's process id, and what a Python
 * starts ignores the C library's own signals 32 and 33. User, umask, limits and
 * priority are those this process had when the helper started.
 *
 * @example
 * ```ts
 * await using helper = spawnHelper();
 * await using server = await serve("tcp://127.0.0.1:8090", {
 *   spawner: helper.spawner,
 * });
 * ```
 */
export function spawnHelper(options: SpawnHelperOptions = {}): SpawnHelper {
  return spawnHelperOf(helperPrograms(), options);
}

/**
 * The same with one of `programs`, by turns until one comes up. Once all have been
 * tried, they rest for a minute: there may be no room for any.
 */
export function spawnHelperOf(
  programs: readonly HelperProgram[],
  { onLost = () => {} }: SpawnHelperOptions = {},
): SpawnHelper {
  let next = 0;
  let helper: Helper | null = null;
  // There are no named pipes on either.
  let isOff = process.platform === "win32" || "bun" in process.versions;
  let count = 0;
  let since = -Infinity;
  let notBefore = 0;
  const isBusy = () => {
    const now = performance.now();
    if (now - since > BUSY_MS) {
      since = now;
      count = 0;
    }
    return ++count > BUSY_COMMANDS;
  };
  const find = (): Starter | null => {
    if (helper !== null) return helper.isUsable && !isOff ? helper : null;
    if (isOff || !isBusy() || workingDirectory() === null) return null;
    if (performance.now() < notBefore) return null;
    count = 0;
    const program = programs[next];
    const tryAnother = () => {
      next = (next + 1) % programs.length;
      if (next === 0) notBefore = performance.now() + RETRY_MS;
    };
    const started = startHelper(program);
    if (started === null) tryAnother();
    else {
      helper = new Helper(started, (wasUp) => {
        helper = null;
        if (!wasUp) tryAnother();
        else if (!isOff) onLost();
      });
    }
    return null;
  };
  const close = async () => {
    isOff = true;
    await helper?.close();
  };
  return { spawner: spawnerWith(find), close, [Symbol.asyncDispose]: close };
}

/** Of a program of our own. */
const NOTHING = { stdin: "null", stdout: "null", stderr: "null" } as const;
const NO_PIPES: ChildPipes<string> = {
  stdio: ["ignore", "ignore", "ignore"],
  merged: false,
  closeChildEnds: () => {},
  ours: () => ({ stdin: null, stdout: null, stderr: null }),
  destroy: () => {},
};

/** What a helper is, with both its pipes. */
type HelperProcess = ChildProcessByStdio<Writable, Readable, null>;

/** Null if there is no room for it at the moment, or it may not be started. */
function startHelper({ file, args }: HelperProgram): HelperProcess | null {
  try {
    // Nothing of our environment, which has secrets. In a session of its own, it
    // does not hear of a terminal's Ctrl-C.
    const child = spawn(file, args, {
      detached: true,
      env: {},
      stdio: ["pipe", "pipe", "ignore"],
    });
    child.on("error", () => {}).unref();
    // It has none where descriptors are short, whatever its type says.
    return child.stdin === undefined ? null : child;
  } catch {
    return null;
  }
}

/** Null if somebody has removed it. */
function workingDirectory(): string | null {
  try {
    return process.cwd();
  } catch {
    return null;
  }
}

class Helper implements Starter {
  readonly #child: HelperProcess;
  readonly #input: Socket;
  readonly #output: Socket;
  readonly #cwd = workingDirectory();
  readonly #asked = new Map<number, Asked>();
  readonly #killing = new Map<number, NodeJS.Timeout>();
  readonly #over = deferred<void>();
  #last = 0;
  #isUp = false;
  #isClosing = false;
  #isOver = false;

  constructor(child: HelperProcess, ended: (wasUp: boolean) => void) {
    this.#child = child;
    // Pipes of a child are sockets, which alone can let a process end.
    this.#input = child.stdin as Socket;
    this.#output = child.stdout as Socket;
    this.#input.on("error", () => {});
    this.#output.on("error", () => {});
    this.#hold();
    let text = "";
    this.#output.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = `${text}${chunk}`.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        if (this.#output.destroyed) return;
        this.#hear(line);
      }
    });
    const comingUp = setTimeout(() => {
      if (!this.#isUp) this.#kill();
    }, COMING_UP_MS).unref();
    // Not "exit", which may come before what it said last.
    child.once("close", () => {
      clearTimeout(comingUp);
      this.#isOver = true;
      ended(this.#isUp);
      for (const asked of this.#asked.values()) asked.lost();
      for (const id of [...this.#asked.keys()]) this.#forget(id);
      this.#over.resolve();
    });
  }

  get isUsable(): boolean {
    return this.#isUp && !this.#isOver && this.#cwd !== null &&
      this.#cwd === workingDirectory();
  }

  start(
    program: Program,
    pipes: ChildPipes<string>,
  ): Promise<ProcessHandle> {
    const started = this.#start(program, pipes);
    makeMoreSoon((file, args) => this.#run(file, args));
    return started;
  }

  #start(
    { file, args, cwd, env, title }: Program,
    pipes: ChildPipes<string>,
  ): Promise<ProcessHandle> {
    const id = ++this.#last;
    const status = deferred<ExitStatus>();
    let group: ProcessGroup | null = null;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, {
        started: (pid) => {
          group = new ProcessGroup(
            pid,
            (signal) => this.#signal(id, pid, signal),
          );
          try {
            pipes.closeChildEnds();
            resolve(handleOf(pid, group, status.promise, pipes.ours()));
          } catch (error) {
            group.kill("SIGKILL");
            reject(error);
          }
        },
        failed: (error) => {
          this.#forget(id);
          // Of a name that is not there it cannot tell whose it was.
          const removed = pipes.stdio.find((end) =>
            end !== "ignore" && !existsSync(end)
          );
          if (removed === undefined) return reject(error);
          const reason = `somebody removed ${removed}, a pipe of its own, ` +
            "before it could be opened: start it again";
          reject(startError("spawn_failed", title, reason, null));
        },
        ended: (how, isGone) => {
          this.#forget(id);
          if (!isGone) this.#tell({ id, signal: null });
          group?.leaderEnded(isGone);
          status.resolve(how);
        },
        lost: () => {
          const reason = "the process that starts commands ended meanwhile, " +
            "and whether it has started is not known";
          if (group === null) {
            return reject(startError("connection_lost", title, reason, null));
          }
          group.kill("SIGKILL");
          group.leaderEnded();
          status.resolve({ code: null, signal: null });
        },
      });
      this.#hold();
      const stdio = pipes.stdio.map((end, fd) =>
        end === "ignore" ? end : { path: end, writes: fd > 0 }
      );
      this.#tell({ id, file, args, cwd, env, stdio });
    });
  }

  /** Runs a program to its end. */
  async #run(file: string, args: readonly string[]): Promise<void> {
    const env = { PATH: process.env.PATH ?? "" };
    const program = toProgram(
      { ...NOTHING, argv: [file, ...args], env },
      false,
    );
    await (await this.#start(program, NO_PIPES)).status;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#hold();
    if (this.#isUp) this.#input.end();
    else this.#kill();
    const insist = setTimeout(() => this.#kill(), STANDSTILL_MS);
    await this.#over.promise;
    clearTimeout(insist);
  }

  /** Whatever it is: all that it has started and not told of ends with it. */
  #kill(): void {
    if (this.#child.pid !== undefined) killGroup(this.#child.pid);
    this.#input.destroy();
    this.#output.destroy();
  }

  /** It begins with `up`. A program that says anything else first is no helper. */
  #hear(line: string): void {
    if (!this.#isUp) {
      this.#isUp = line === UP;
      if (!this.#isUp) this.#kill();
      return;
    }
    const told: Told = JSON.parse(line);
    const asked = this.#asked.get(told.id);
    if ("pid" in told) asked?.started(told.pid);
    else if ("isGone" in told) {
      const { code, signal, isGone } = told;
      asked?.ended({ code, signal: nameOf(signal) }, isGone);
    } else {
      const { message, code } = told.error;
      asked?.failed(Object.assign(new Error(message), { code }));
    }
  }

  /** Through the one who collects its exit: until then the number is its own. */
  #signal(id: number, pid: number, signal: NodeJS.Signals): void {
    if (this.#isOver) {
      process.kill(-pid, signal);
      return;
    }
    this.#tell({ id, signal: constants.signals[signal] });
    if (signal !== "SIGKILL" || this.#killing.has(id)) return;
    // A helper that stands still sends nothing. Nor does it collect an exit, so
    // the number is still the command's; what it has told meanwhile is read first.
    const insist = () =>
      setImmediate(() => {
        if (this.#asked.has(id)) killGroup(pid);
      });
    this.#killing.set(id, setTimeout(insist, STANDSTILL_MS));
  }

  #tell(message: object): void {
    this.#input.write(`${JSON.stringify(message)}\n`);
  }

  #forget(id: number): void {
    this.#asked.delete(id);
    clearTimeout(this.#killing.get(id));
    this.#killing.delete(id);
    this.#hold();
  }

  /** Keeps this process alive as commands do that run, or lets it end. */
  #hold(): void {
    if (this.#isOver) return;
    const isHeld = this.#isClosing || this.#asked.size > 0;
    for (const each of [this.#input, this.#output, this.#child]) {
      if (isHeld) each.ref();
      else each.unref();
    }
  }
}

/** As Node and Deno name it; a real-time signal has no name with either. */
function nameOf(signal: number | null): string | null {
  if (signal === null) return null;
  const names = Object.entries(constants.signals);
  return names.find(([, number]) => number === signal)?.[0] ?? `SIG${signal}`;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has gone, or belongs to another user.
  }
}
