/**
 * Subprocesses, each the leader of a process group of its own.
 *
 * @module
 */

import {
  type ChildProcess,
  spawn,
  type StdioOptions,
} from "node:child_process";
import { toProgram } from "../../core/adapter/command.ts";
import {
  lostError,
  pipeError,
  spawnError,
} from "../../core/adapter/os_error.ts";
import type {
  Command,
  ExitStatus,
  ProcessHandle,
  Spawner,
} from "../../core/ports.ts";
import { osError } from "./errors.ts";
import { ProcessGroup } from "./process_group.ts";
import { checkWrapped, diagnose } from "./diagnose.ts";
import { readableOf, writableOf } from "./streams.ts";

const IS_WINDOWS = process.platform === "win32";

/**
 * Starts commands.
 *
 * Node gives a child one half of a socket pair where a shell would give it a
 * pipe. The difference shows in two places: a program that writes after its
 * reader has gone may see ECONNRESET in place of SIGPIPE, and `/dev/stdout`
 * cannot be opened again by name.
 */
export const spawner: Spawner = async (command) => {
  const program = toProgram(command, IS_WINDOWS);
  checkWrapped(command, program);
  let child: ChildProcess | undefined;
  try {
    // Some failures are thrown (E2BIG), the others are an event (ENOENT).
    child = spawn(program.file, program.args, {
      cwd: command.cwd,
      env: { ...command.env },
      detached: !IS_WINDOWS,
      stdio: stdioOf(command),
      windowsHide: true,
      windowsVerbatimArguments: program.verbatim,
    });
    return await started(child);
  } catch (error) {
    for (const pipe of [child?.stdin, child?.stdout, child?.stderr]) {
      pipe?.destroy();
    }
    throw diagnose(command, program, osError(error)) ??
      spawnError(program.title, osError(error));
  }
};

/** Takes hold of pipes and exit before Node's next event can be missed. */
function started(child: ChildProcess): Promise<ProcessHandle> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    const handle = handleOf(child);
    child.once("spawn", () => {
      child.off("error", reject);
      // A signal that could not be sent is told by its caller's result.
      child.on("error", () => {});
      resolve(handle);
    });
  });
}

function handleOf(child: ChildProcess): ProcessHandle {
  const { stdin, stdout, stderr } = child;
  const group = new ProcessGroup(child.pid ?? 0);
  // "exit", not "close": pipes may be held open by others for much longer.
  const status = new Promise<ExitStatus>((resolve) => {
    child.once("exit", (code, signal) => {
      group.leaderEnded();
      resolve({ code, signal });
    });
  });
  const outputError = (error: unknown) =>
    lostError(error === null ? null : osError(error));
  const inputError = (error: unknown) =>
    pipeError("stdin_closed", error === null ? null : osError(error));
  return {
    pid: child.pid ?? 0,
    stdin: stdin &&
      writableOf(stdin, inputError, () => stdin.destroy()).writable,
    stdout: stdout && readableOf(stdout, outputError, () => stdout.destroy()),
    stderr: stderr && readableOf(stderr, outputError, () => stderr.destroy()),
    status,
    kill: (signal) => group.kill(signal),
    groupAlive: () => group.isAlive(),
  };
}

function stdioOf({ stdin, stdout, stderr }: Command): StdioOptions {
  const kind = { piped: "pipe", null: "ignore", inherit: "inherit" } as const;
  // With "stdout" the shell around the program copies the descriptor.
  return [
    kind[stdin],
    kind[stdout],
    stderr === "stdout" ? "ignore" : kind[stderr],
  ];
}
