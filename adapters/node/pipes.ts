/**
 * The pipes of a subprocess.
 *
 * Node gives a child one half of a socket pair where a shell would give it a
 * pipe, and offers no way to make one. The difference shows: a program cannot
 * open `/dev/stderr` by name, one whose reader has gone sees ECONNRESET instead
 * of SIGPIPE, and two descriptors cannot share one pipe. A named pipe, opened at
 * both ends and unlinked, is a real one; mkfifo(1) makes many of them at a time.
 *
 * @module
 */

import { type ChildProcess, execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  unlinkSync,
} from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Command } from "../../core/ports.ts";
import { codeOf } from "./errors.ts";

/** How many are made at once; mkfifo(1) costs far more than a pipe. */
const BATCH = 128;

/** What passes. */
const SHORTAGES = ["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"];

/** What a child's descriptor 0, 1 or 2 is, in the words of `spawn`. */
type Stdio = "pipe" | "ignore" | "inherit" | number;

/** Our ends of a child's pipes, and what to give the child. */
export interface ChildPipes {
  readonly stdio: readonly [Stdio, Stdio, Stdio];
  /** Whether stderr goes into stdout's pipe, so that no shell has to do it. */
  readonly merged: boolean;
  /** To be called once the child has its ends, or never will. */
  closeChildEnds(): void;
  /** Our ends; of `child` where Node made them. */
  ours(child: ChildProcess): OurEnds;
  /** Gives everything back after a failure. */
  destroy(child: ChildProcess | undefined): void;
}

/** Null where the command has nothing piped. */
export interface OurEnds {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
}

/** Opens what the command wants piped. Throws the OS's error, EMFILE and such. */
export function openPipes(command: Command): ChildPipes {
  return pool.usable ? realPipes(command) : socketPairs(command);
}

function realPipes({ stdin, stdout, stderr }: Command): ChildPipes {
  const theirs: number[] = [];
  const sockets: Socket[] = [];
  const input = (): [number, Socket] => {
    const { reader, writer } = openPair("reader");
    const ours = new Socket({ fd: writer, readable: false, writable: true });
    theirs.push(reader);
    sockets.push(ours);
    return [reader, ours];
  };
  const output = (): [number, Socket] => {
    const { reader, writer } = openPair("writer");
    const ours = new Socket({ fd: reader, readable: true, writable: false });
    theirs.push(writer);
    sockets.push(ours);
    return [writer, ours];
  };
  const closeChildEnds = () => theirs.splice(0).forEach(closeSync);
  const destroy = () => {
    closeChildEnds();
    for (const socket of sockets) socket.destroy();
  };
  try {
    const [fd0, ourStdin] = stdin === "piped" ? input() : [null, null];
    const [fd1, ourStdout] = stdout === "piped" ? output() : [null, null];
    const [fd2, ourStderr] = stderr === "piped" ? output() : [null, null];
    const others: Stdio = stderr === "inherit" ? "inherit" : "ignore";
    const merged = stderr === "stdout";
    const stdio = [
      fd0 ?? "ignore",
      fd1 ?? "ignore",
      (merged ? fd1 : fd2) ?? others,
    ] as const;
    const ends = { stdin: ourStdin, stdout: ourStdout, stderr: ourStderr };
    return { stdio, merged, closeChildEnds, ours: () => ends, destroy };
  } catch (error) {
    destroy();
    throw error;
  }
}

/** What Node makes by itself, where mkfifo(1) or Node's own `Socket` is not. */
function socketPairs({ stdin, stdout, stderr }: Command): ChildPipes {
  const kind = { piped: "pipe", null: "ignore", inherit: "inherit" } as const;
  return {
    // With "stdout" a shell around the program copies the descriptor.
    stdio: [
      kind[stdin],
      kind[stdout],
      stderr === "stdout" ? "ignore" : kind[stderr],
    ],
    merged: false,
    closeChildEnds: () => {},
    ours: ({ stdin, stdout, stderr }) => ({ stdin, stdout, stderr }),
    destroy: (child) => {
      for (const end of [child?.stdin, child?.stdout, child?.stderr]) {
        end?.destroy();
      }
    },
  };
}

/** Both ends of a new pipe. The end of the child blocks, ours does not. */
function openPair(child: "reader" | "writer"): {
  reader: number;
  writer: number;
} {
  const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
  const path = pool.take();
  const opened: number[] = [];
  const open = (flags: number) => {
    const fd = openSync(path, flags);
    opened.push(fd);
    return fd;
  };
  try {
    // Opening waits for the other end, unless it is a reader that must not
    // wait: so one of those comes first, to be closed again if it is not ours.
    const first = open(O_RDONLY | O_NONBLOCK);
    if (child === "writer") return { reader: first, writer: open(O_WRONLY) };
    const writer = open(O_WRONLY | O_NONBLOCK);
    const reader = open(O_RDONLY);
    closeSync(first);
    return { reader, writer };
  } catch (error) {
    opened.forEach(closeSync);
    throw error;
  } finally {
    unlinkSync(path);
  }
}

/** Named pipes that nobody has opened yet, in a folder of our own. */
class FifoPool {
  #folder = "";
  #made = 0;
  #paths: string[] = [];
  #usable: boolean | null = null;

  constructor() {
    // Bun's Socket does not read from a descriptor it is given.
    const { platform, versions } = process;
    if (platform === "win32" || "bun" in versions) this.#usable = false;
  }

  /** Whether named pipes can be made here at all. Makes some to find out. */
  get usable(): boolean {
    if (this.#usable !== null) return this.#usable;
    try {
      this.#refill();
      this.#usable = true;
    } catch (error) {
      // It may well work another time.
      if (SHORTAGES.includes(codeOf(error) ?? "")) throw error;
      this.#usable = false;
    }
    return this.#usable;
  }

  /** The path of one. */
  take(): string {
    for (;;) {
      if (this.#paths.length === 0) this.#refill();
      const path = this.#paths.pop();
      // Whoever cleans up old files in /tmp does not ask whose they are.
      if (path !== undefined && existsSync(path)) return path;
    }
  }

  #refill(): void {
    if (!existsSync(this.#folder)) this.#folder = makeFolder();
    const paths: string[] = [];
    for (let i = 0; i < BATCH; i++) {
      paths.push(join(this.#folder, String(this.#made++)));
    }
    execFileSync("mkfifo", ["-m", "600", ...paths], { stdio: "ignore" });
    this.#paths = paths;
  }
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "limpet-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const pool = new FifoPool();
