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
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { ReadBlocks } from "../../core/adapter/read_blocks.ts";
import type { Command } from "../../core/ports.ts";
import { codeOf } from "./errors.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** How many are made at once; mkfifo(1) costs far more than a pipe. */
const BATCH = 128;

/** For nobody else, whatever the umask. */
const MODE = ["-m", "600"];

/** What passes, and what the one command that meets it is told of. */
const SHORTAGES = ["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"];

/** What `execFileSync` opens, at most; it takes 6 on Node 20. */
const SPAWN_DESCRIPTORS = 8;

/** How long to do without after another failure, in ms. */
const RETRY_MS = 10_000;

/**
 * Where nobody asked for another place than `/tmp`, they are in memory if that is
 * to be had: on a disk, to make and remove a name may take longer than all else
 * that a command needs.
 */
const IN_MEMORY = "/dev/shm";
const USUAL_PLACE = "/tmp";

/** Of a folder's mode: nobody may rename or remove what is another's. */
const STICKY = 0o1000;

/** Their folders in one of those. */
const FOLDER_PREFIX = "limpet-pipes-";

/** A named pipe in each, which is open for reading as long as its owner lives. */
const ALIVE = "alive";

/** A folder this young may belong to somebody who has not come to that yet. */
const YOUNG_MS = 60_000;

/** What a child's descriptor 0, 1 or 2 is: in the words of `spawn`, or `E`. */
type Three<E> = readonly [Stdio | E, Stdio | E, Stdio | E];
type Stdio = "pipe" | "ignore" | "inherit";

/** Our ends of a child's pipes, and what to give the child. */
export interface ChildPipes<E = number> {
  readonly stdio: Three<E>;
  /** Whether stderr goes into stdout's pipe, so that no shell has to do it. */
  readonly merged: boolean;
  /** To be called once the child has its ends, or never will. */
  closeChildEnds(): void;
  /** Our ends; of `child` where Node made them. */
  ours(child?: ChildProcess): OurEnds;
  /** Gives everything back after a failure. */
  destroy(child?: ChildProcess): void;
}

/** Null where the command has nothing piped. */
export interface OurEnds {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
}

/** Opens what the command wants piped. Throws the OS's error, EMFILE and such. */
export function openPipes(command: Command): ChildPipes {
  // Without room for them a command still runs, such as the one that makes room.
  return realPipes(command, openPair) ?? socketPairs(command);
}

/**
 * The same, where another process opens the ends of the child, by their names.
 * Null if there are no named pipes, or not now.
 */
export function openNamedPipes(command: Command): ChildPipes<string> | null {
  return realPipes(command, openOurs);
}

/**
 * Has more named pipes made before they are needed, which otherwise stops this
 * process: `run` runs a program elsewhere, and settles when that has ended.
 */
export function makeMoreSoon(
  run: (file: string, args: readonly string[]) => Promise<unknown>,
): void {
  pool.refillSoon(run);
}

/** Opens a new pipe, or our end of it: `theirs` is what the child gets. */
type Opener<E> = (
  path: string,
  child: "reader" | "writer",
) => { ours: number; theirs: E; closeTheirs: () => void };

function realPipes<E>(
  { stdin, stdout, stderr }: Command,
  open: Opener<E>,
): ChildPipes<E> | null {
  const piped = [stdin, stdout, stderr].filter((each) => each === "piped");
  const paths = pool.take(piped.length);
  if (paths === null) return null;
  const closing: (() => void)[] = [];
  const opened: number[] = [];
  const pipe = (child: "reader" | "writer"): [E, number] => {
    const { ours, theirs, closeTheirs } = open(paths.pop()!, child);
    closing.push(closeTheirs);
    opened.push(ours);
    return [theirs, ours];
  };
  const closeChildEnds = () => closing.splice(0).forEach((close) => close());
  const sockets: Socket[] = [];
  /** From then on the socket closes it: the number may be another file's then. */
  const socketOf = (fd: number | null, make: (fd: number) => Socket) => {
    if (fd === null) return null;
    const socket = make(fd);
    opened.splice(opened.indexOf(fd), 1);
    sockets.push(socket);
    return socket;
  };
  const destroy = () => {
    closeChildEnds();
    opened.splice(0).forEach(closeSync);
    sockets.forEach((socket) => socket.destroy());
  };
  try {
    const [end0, our0] = stdin === "piped" ? pipe("reader") : [null, null];
    const [end1, our1] = stdout === "piped" ? pipe("writer") : [null, null];
    const [end2, our2] = stderr === "piped" ? pipe("writer") : [null, null];
    const others: Stdio = stderr === "inherit" ? "inherit" : "ignore";
    const merged = stderr === "stdout";
    const stdio: Three<E> = [
      end0 ?? "ignore",
      end1 ?? "ignore",
      (merged ? end1 : end2) ?? others,
    ];
    const ours = () => ({
      stdin: socketOf(our0, writerOf),
      stdout: socketOf(our1, readerOf),
      stderr: socketOf(our2, readerOf),
    });
    return { stdio, merged, closeChildEnds, ours, destroy };
  } catch (error) {
    destroy();
    pool.giveBack(paths);
    throw error;
  }
}

/** Our end of a pipe that the child reads from. */
function writerOf(fd: number): Socket {
  return new Socket({ fd, readable: false, writable: true });
}

/** Our end of a pipe that the child writes to. */
function readerOf(fd: number): Socket {
  const blocks = new ReadBlocks();
  // Documented for the constructor, too; @types/node has it for `connect` alone.
  const options: SocketConstructorOpts & { onread: OnReadOpts } = {
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: () => blocks.next(),
      callback: (length) => socket.emit("data", blocks.take(length)),
    },
  };
  const socket = new Socket(options);
  return socket;
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
    ours: (child) => ({
      stdin: child?.stdin ?? null,
      stdout: child?.stdout ?? null,
      stderr: child?.stderr ?? null,
    }),
    destroy: (child) => {
      for (const end of [child?.stdin, child?.stdout, child?.stderr]) {
        end?.destroy();
      }
    },
  };
}

/** Both ends of a new pipe. The end of the child blocks, ours does not. */
const openPair: Opener<number> = (path, child) => {
  const opened: number[] = [];
  const open = (flags: number) => {
    const fd = openSync(path, flags);
    opened.push(fd);
    return fd;
  };
  try {
    // Opening waits for the other end, unless it is a reader that must not
    // wait: so one of those comes first, to be closed again if it is not ours.
    const reader = open(O_RDONLY | O_NONBLOCK);
    if (child === "writer") {
      const theirs = open(O_WRONLY);
      return { ours: reader, theirs, closeTheirs: () => closeSync(theirs) };
    }
    const ours = open(O_WRONLY | O_NONBLOCK);
    const theirs = open(O_RDONLY);
    closeSync(reader);
    return { ours, theirs, closeTheirs: () => closeSync(theirs) };
  } catch (error) {
    opened.forEach(closeSync);
    throw error;
  } finally {
    unlinkSync(path);
  }
};

/** Our end of a new pipe, which keeps its name until somebody has the other. */
const openOurs: Opener<string> = (path, child) => {
  let reader: number | undefined;
  try {
    reader = openSync(path, O_RDONLY | O_NONBLOCK);
    if (child === "writer") {
      return { ours: reader, theirs: path, closeTheirs: () => unlink(path) };
    }
    const ours = openSync(path, O_WRONLY | O_NONBLOCK);
    // Until then what we write has no other reader.
    const guard = reader;
    const closeTheirs = () => {
      closeSync(guard);
      unlink(path);
    };
    return { ours, theirs: path, closeTheirs };
  } catch (error) {
    if (reader !== undefined) closeSync(reader);
    unlink(path);
    throw error;
  }
};

/** Whoever cleans up old files in /tmp may have been faster. */
function unlink(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** Named pipes that nobody has opened yet, in a folder of our own. */
class FifoPool {
  #folder = "";
  #alive: number | null = null;
  #made = 0;
  #paths: string[] = [];
  /** Whether there may be room in memory. */
  #mayBeInMemory = true;
  /** By `performance.now()`; Infinity while more are being made. */
  #refillAt = 0;
  /** By the same clock. Bun's Socket does not read what it is given. */
  #retryAt = process.platform === "win32" || "bun" in process.versions
    ? Infinity
    : 0;

  /**
   * The paths of so many, or null if none can be made here, or not now. Throws
   * what passes: EMFILE and such.
   */
  take(count: number): string[] | null {
    const taken: string[] = [];
    if (this.#retryAt === Infinity) return null;
    while (taken.length < count) {
      const path = this.#paths.pop();
      // Whoever cleans up old files in /tmp does not ask whose they are.
      if (path !== undefined && existsSync(path)) taken.push(path);
      if (path === undefined && !this.#refill()) {
        this.giveBack(taken);
        return null;
      }
    }
    return taken;
  }

  /** Those that were not used after all. */
  giveBack(paths: readonly string[]): void {
    this.#paths.push(...paths);
  }

  /** As `makeMoreSoon`, of which one at a time is enough. */
  refillSoon(
    run: (file: string, args: readonly string[]) => Promise<unknown>,
  ): void {
    if (this.#paths.length > BATCH / 2 || this.#folder === "") return;
    if (performance.now() < this.#refillAt) return;
    this.#refillAt = Infinity;
    const wanted = this.#newNames();
    run("mkfifo", [...MODE, ...wanted]).catch(() => {}).then(() => {
      const made = wanted.filter((path) => existsSync(path));
      this.#paths.unshift(...made);
      this.#refillAt = made.length > 0 ? 0 : performance.now() + RETRY_MS;
    });
  }

  #newNames(): string[] {
    return Array.from(
      { length: BATCH },
      () => join(this.#folder, String(this.#made++)),
    );
  }

  /** Whether there are more now. */
  #refill(): boolean {
    if (performance.now() < this.#retryAt) return false;
    let wanted: string[] = [];
    try {
      if (!existsSync(this.#folder)) this.#renew();
      wanted = this.#newNames();
      const alive = join(this.#folder, ALIVE);
      const all = existsSync(alive) ? wanted : [alive, ...wanted];
      checkDescriptors();
      execFileSync("mkfifo", [...MODE, ...all], { stdio: "ignore" });
      this.#alive ??= openReader(alive);
    } catch (error) {
      if (SHORTAGES.includes(codeOf(error) ?? "")) throw error;
      // There is no mkfifo(1), or there is no room for all of them.
      this.#retryAt = performance.now() + RETRY_MS;
    }
    this.#paths = wanted.filter((path) => existsSync(path));
    if (this.#paths.length > 0) return true;
    if (!this.#folder.startsWith(IN_MEMORY)) return false;
    // There may be no room, or it is forbidden, and not where all do it.
    this.#mayBeInMemory = false;
    this.#retryAt = 0;
    remove(this.#folder);
    return this.#refill();
  }

  #renew(): void {
    const folder = newFolder(this.#mayBeInMemory);
    if (this.#folder === "") process.once("exit", () => remove(this.#folder));
    this.#folder = folder;
    if (this.#alive !== null) closeSync(this.#alive);
    this.#alive = null;
  }
}

function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // More of them are being made: the next one of us sweeps.
  }
}

function newFolder(mayBeInMemory: boolean): string {
  const place = tmpdir();
  if (mayBeInMemory && place === USUAL_PLACE) {
    try {
      return newFolderIn(IN_MEMORY);
    } catch {
      // It is not there, or not for us.
    }
  }
  return newFolderIn(place);
}

function newFolderIn(place: string): string {
  checkPlace(place);
  sweep(place);
  return mkdtempSync(join(place, FOLDER_PREFIX));
}

/**
 * Throws where others could exchange our folder for one of theirs, and say what a
 * command does: whoever may write to the place, unless only owners may rename
 * there (`sticky`, inode(7)). Some containers have such a `/dev/shm`.
 */
function checkPlace(place: string): void {
  const { uid, mode } = statSync(place);
  const isOurs = uid === 0 || uid === process.getuid?.();
  const isShared = (mode & 0o022) !== 0 && (mode & STICKY) === 0;
  if (isOurs && !isShared) return;
  throw new Error(`${place} is open to others`);
}

/**
 * Removes the folders of those who could not do it themselves, for they were
 * killed. What has no reader any more, of a folder that only we may write to, is
 * nobody's; process ids would say nothing of another container's.
 */
function sweep(place: string): void {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(FOLDER_PREFIX)) continue;
    const folder = join(place, name);
    try {
      const info = lstatSync(folder);
      const ours = info.isDirectory() && info.uid === process.getuid?.() &&
        (info.mode & 0o077) === 0;
      const young = Date.now() - info.mtimeMs < YOUNG_MS;
      if (!ours || young || isRead(join(folder, ALIVE))) continue;
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // Somebody else was faster.
    }
  }
}

/**
 * Throws EMFILE where `execFileSync` would have too few descriptors: the loop of
 * its own that it makes is left with one of them open when it cannot have all.
 */
function checkDescriptors(): void {
  const opened: number[] = [];
  try {
    while (opened.length < SPAWN_DESCRIPTORS) {
      opened.push(openSync(devNull, O_RDONLY));
    }
  } finally {
    opened.forEach(closeSync);
  }
}

/** Null if that cannot be: it is only for those who would clean up behind us. */
function openReader(path: string): number | null {
  try {
    return openSync(path, O_RDONLY | O_NONBLOCK);
  } catch {
    return null;
  }
}

/** Whether anybody has the named pipe open for reading. */
function isRead(path: string): boolean {
  try {
    closeSync(openSync(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW));
    return true;
  } catch (error) {
    return codeOf(error) !== "ENXIO";
  }
}

const pool = new FifoPool();
