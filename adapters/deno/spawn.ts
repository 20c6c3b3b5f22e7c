/**
 * Subprocesses, each the leader of a process group of its own.
 *
 * Permissions: `--allow-run`. With `--allow-read` as well, errors are as exact
 * as the OS knows them, and programs are found as `execvp` finds them; without
 * it, a missing program with stderr merged into stdout shows as the shell's 127.
 *
 * @module
 */

import { type Program, toProgram } from "../../core/adapter/command.ts";
import { recycle } from "../../core/adapter/read_buffer.ts";
import {
  lostError,
  spawnError,
  writeError,
} from "../../core/adapter/os_error.ts";
import type {
  Command,
  ExitStatus,
  ProcessHandle,
  Spawner,
} from "../../core/ports.ts";
import { askShell, diagnose, locate } from "./diagnose.ts";
import { osError } from "./errors.ts";
import { ProcessGroup } from "./process_group.ts";
import { passOn, writableOver } from "./pipes.ts";
import { Started } from "./setsid.ts";

const IS_WINDOWS = Deno.build.os === "windows";

const started = new Started();

/**
 * Starts commands.
 *
 * Deno passes the path that it found as `argv[0]`, whatever the command said: a
 * program's own messages begin with `/usr/bin/ls:` in place of `ls:`.
 */
export const spawner: Spawner = async (command) => {
  const program = toProgram(command, IS_WINDOWS);
  if (program.check !== null) await askShell(program);
  return start(command, program);
};

function start(command: Command, program: Program): ProcessHandle {
  const file = locate(program);
  const options: Deno.CommandOptions = {
    args: [...program.args],
    cwd: program.cwd,
    env: { ...program.env },
    clearEnv: true,
    windowsRawArguments: program.verbatim,
    ...stdioOf(command),
  };
  try {
    const again = started.again(file, options);
    if (again !== null) return handleOf(command, again, false);
    const first = started.first(file);
    const detached = !IS_WINDOWS;
    const child = new Deno.Command(file, { ...options, detached }).spawn();
    first();
    return handleOf(command, child, true);
  } catch (error) {
    throw diagnose(program, osError(error)) ??
      spawnError(program.title, osError(error), program.hint);
  }
}

function handleOf(
  command: Command,
  child: Deno.ChildProcess,
  isGroup: boolean,
): ProcessHandle {
  const group = new ProcessGroup(child.pid, isGroup);
  const status = child.status.then(exitStatus, unnamedSignal)
    .then((status) => {
      group.leaderEnded();
      return status;
    });
  const outputError = (error: unknown) => lostError(osError(error));
  const inputError = (error: unknown) =>
    writeError("the process's stdin", error === null ? null : osError(error));
  return {
    pid: child.pid,
    stdin: command.stdin === "piped"
      ? writableOver(child.stdin, inputError)
      : null,
    returnsStdin: true,
    stdout: command.stdout === "piped"
      ? passOn(child.stdout, outputError)
      : null,
    stderr: command.stderr === "piped"
      ? passOn(child.stderr, outputError)
      : null,
    recycle,
    status,
    kill: (signal) => group.kill(signal),
    groupAlive: () => group.isAlive(),
  };
}

/** Deno gives 128 + n as the code besides the signal. */
function exitStatus({ code, signal }: Deno.CommandStatus): ExitStatus {
  return signal === null ? { code, signal } : { code: null, signal };
}

/** Deno throws "Invalid signal: 34" for a real-time signal. */
function unnamedSignal(error: unknown): ExitStatus {
  const number = /\d+/.exec(String(error))?.[0] ?? "";
  return { code: null, signal: `SIG${number}` };
}

function stdioOf(
  { stdin, stdout, stderr }: Command,
): Pick<Deno.CommandOptions, "stdin" | "stdout" | "stderr"> {
  // With "stdout" the shell around the program copies the descriptor.
  return { stdin, stdout, stderr: stderr === "stdout" ? "null" : stderr };
}
