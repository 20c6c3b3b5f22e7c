/**
 * How subprocesses start: in this process, or in one that does it in its place.
 * Apart from `spawn.ts`, whose types stand without Node's.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { type Program, toProgram } from "../../core/adapter/command.ts";
import { recycle } from "../../core/adapter/read_blocks.ts";
import { streamOfReader } from "../../core/adapter/reader_stream.ts";
import {
  lostError,
  spawnError,
  writeError,
} from "../../core/adapter/os_error.ts";
import { LimpetError } from "../../core/errors.ts";
import type {
  ByteReader,
  Command,
  ExitStatus,
  GatheringStream,
  OutputReaders,
  ProcessHandle,
  Spawner,
} from "../../core/ports.ts";
import { osError } from "./errors.ts";
import {
  type ChildPipes,
  openNamedPipes,
  openPipes,
  type OurEnds,
} from "./pipes.ts";
import { ProcessGroup } from "./process_group.ts";
import { askShell, checkBefore, diagnose } from "./diagnose.ts";
import { NodeWriter, StreamReader } from "./streams.ts";

const IS_WINDOWS = process.platform === "win32";

/** Starts programs in place of this process. */
export interface Starter {
  /** Rejects with what Node's `spawn` fails with. */
  start(program: Program, pipes: ChildPipes<string>): Promise<ProcessHandle>;
}

/** Starts commands by what `find` finds then, or by itself if that is null. */
export function spawnerWith(find: () => Starter | null): Spawner {
  return async (command) => {
    let program = toProgram(command, IS_WINDOWS);
    if (program.check !== null) await askShell(program);
    let destroy = () => {};
    try {
      // The stderr that it inherits is this process's.
      const starter = command.stderr === "inherit" ? null : find();
      const { pipes, start } = prepare(command, starter);
      destroy = () => pipes.destroy();
      if (pipes.merged) {
        program = toProgram({ ...command, stderr: "null" }, IS_WINDOWS);
      }
      checkBefore(program);
      return await start(program);
    } catch (error) {
      destroy();
      if (error instanceof LimpetError) throw error;
      throw diagnose(program, osError(error)) ??
        spawnError(program.title, osError(error), program.hint);
    }
  };
}

/** The pipes, as whoever starts the program needs them. */
function prepare(command: Command, starter: Starter | null): {
  pipes: Pick<ChildPipes, "merged" | "destroy">;
  start: (program: Program) => Promise<ProcessHandle>;
} {
  const named = starter && openNamedPipes(command);
  if (starter !== null && named !== null) {
    return { pipes: named, start: (program) => starter.start(program, named) };
  }
  const pipes = openPipes(command);
  return { pipes, start: (program) => startHere(program, pipes) };
}

async function startHere(
  program: Program,
  pipes: ChildPipes,
): Promise<ProcessHandle> {
  let child: ChildProcess | undefined;
  try {
    // Some failures are thrown (E2BIG), the others are an event (ENOENT).
    child = spawn(program.file, program.args, {
      cwd: program.cwd,
      env: { ...program.env },
      detached: !IS_WINDOWS,
      stdio: [...pipes.stdio],
      windowsHide: true,
      windowsVerbatimArguments: program.verbatim,
    });
    pipes.closeChildEnds();
    return await started(child, pipes.ours(child));
  } catch (error) {
    pipes.destroy(child);
    // It runs, and nobody would ever hear of it.
    if (child?.pid !== undefined) new ProcessGroup(child.pid).kill("SIGKILL");
    throw error;
  }
}

/** Takes hold of pipes and exit before Node's next event can be missed. */
function started(child: ChildProcess, ends: OurEnds): Promise<ProcessHandle> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    const pid = child.pid ?? 0;
    const group = new ProcessGroup(pid);
    // "exit", not "close": pipes may be held open by others for much longer.
    // Neither tells a real-time signal (34 and up) from code 0: Node has no name
    // for it and drops the number, and nobody else may collect the exit. (A helper
    // in Python does.)
    const status = new Promise<ExitStatus>((resolve) => {
      child.once("exit", (code, signal) => {
        group.leaderEnded();
        resolve({ code, signal });
      });
    });
    const handle = handleOf(pid, group, status, ends);
    child.once("spawn", () => {
      child.off("error", reject);
      // A signal that could not be sent is told by its caller's result.
      child.on("error", () => {});
      resolve(handle);
    });
  });
}

/** On Bun what is written into a process leaves at once, whether corked or not. */
function gathering(input: NodeWriter): GatheringStream {
  const { writable } = input;
  if ("bun" in process.versions) return writable;
  return Object.assign(writable, {
    writev: (chunks: readonly Uint8Array[]) => input.writev(chunks),
  });
}

/** A process that runs. */
export function handleOf(
  pid: number,
  group: ProcessGroup,
  status: Promise<ExitStatus>,
  { stdin, stdout, stderr }: OurEnds,
): ProcessHandle {
  const outputError = (error: unknown) =>
    lostError(error === null ? null : osError(error));
  const inputError = (error: unknown) =>
    writeError("the process's stdin", error === null ? null : osError(error));
  const input = stdin &&
    new NodeWriter(stdin, inputError, () => stdin.destroy());
  const readerOf = (stream: Readable | null) =>
    stream && new StreamReader(stream, outputError, () => stream.destroy());
  const output = new Output(readerOf(stdout), readerOf(stderr));
  const handle: ProcessHandle = {
    pid,
    stdin: input && gathering(input),
    get stdout() {
      return output.stream("stdout");
    },
    set stdout(stream) {
      output.set("stdout", stream);
    },
    get stderr() {
      return output.stream("stderr");
    },
    set stderr(stream) {
      output.set("stderr", stream);
    },
    recycle,
    status,
    kill: (signal) => group.kill(signal),
    groupAlive: () => group.isAlive(),
  };
  // Not for copies of it, which may have other streams.
  return Object.defineProperty(handle, "readers", {
    get: () => output.readers,
  });
}

/**
 * What a process says, read by whoever comes first: without web streams, or by
 * these, which are made when somebody asks for them. Never by both, which would
 * each get a part of it.
 */
class Output {
  readonly #readers: OutputReaders;
  readonly #streams: Partial<
    Record<keyof OutputReaders, ReadableStream<Uint8Array> | null>
  > = {};
  #areTaken = false;

  constructor(stdout: ByteReader | null, stderr: ByteReader | null) {
    this.#readers = { stdout, stderr };
  }

  /** Undefined if somebody had a stream before. */
  get readers(): OutputReaders | undefined {
    this.#areTaken ||= Object.keys(this.#streams).length === 0;
    return this.#areTaken ? this.#readers : undefined;
  }

  stream(name: keyof OutputReaders): ReadableStream<Uint8Array> | null {
    let stream = this.#streams[name];
    if (stream === undefined) {
      const reader = this.#readers[name];
      stream = reader && streamOfReader(reader);
      // As one is that core reads.
      if (this.#areTaken) stream?.getReader();
      this.#streams[name] = stream;
    }
    return stream;
  }

  /** Another one in its place. */
  set(
    name: keyof OutputReaders,
    stream: ReadableStream<Uint8Array> | null,
  ): void {
    this.#streams[name] = stream;
  }
}
