/**
 * The command line's machine, on Node and Bun.
 *
 * @module
 */

import { constants, openSync, writeSync } from "node:fs";
import process from "node:process";
import { isatty } from "node:tty";
import type {
  CliRuntime,
  StandardInput,
  StandardOutput,
} from "../../core/cli/runtime.ts";
import { lostError, writeError } from "../../core/adapter/os_error.ts";
import { osError } from "./errors.ts";
import { machine, runtimeName } from "./machine.ts";
import { stdio } from "./stdio.ts";
import { readableOf } from "./streams.ts";

/** What the command line in core runs on. */
export function cliRuntime(): CliRuntime {
  // This program does not change it, and each command that is started asks for it.
  let environment: Record<string, string> | null = null;
  return {
    ...machine,
    environment: () => environment ??= machine.environment(),
    name: runtimeName,
    args: process.argv.slice(2),
    stdin: standardInput(),
    stdout: standardOutput("stdout", 1),
    stderr: standardOutput("stderr", 2),
    onSignal: (name, handler) => {
      process.on(name, handler);
      return () => process.off(name, handler);
    },
    onUncaught: (handler) => {
      // Rejections too, which without a handler of their own become exceptions.
      process.on("uncaughtException", handler);
      process.on("unhandledRejection", handler);
    },
    exit: (code) => process.exit(code),
    editLines: async (codec) =>
      (await import("./line_editor.ts")).lineEditor(codec),
    stdio,
    labSockets: async () => (await import("./lab_sockets.ts")).labSockets,
  };
}

function standardInput(): StandardInput {
  return {
    isTerminal: isatty(0),
    open: () =>
      readableOf(
        process.stdin,
        (error) => lostError(error === null ? null : osError(error)),
        () => process.stdin.destroy(),
      ),
  };
}

/** Streams are opened when they are first used: each costs start-up time. */
function standardOutput(
  name: "stdout" | "stderr",
  fd: number,
): StandardOutput {
  let write: ((bytes: Uint8Array) => Promise<void>) | null = null;
  let opened: NodeJS.WriteStream | null = null;
  const open = (): NodeJS.WriteStream => {
    if (opened === null) {
      opened = process[name];
      // Every failure is told by the write that it befell.
      opened.on("error", () => {});
    }
    return opened;
  };
  const stream = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      open().write(bytes, (error) => {
        if (error) reject(writeError(name, osError(error)));
        else resolve();
      });
    });
  return {
    isTerminal: isatty(fd),
    columns: () => open().columns ?? null,
    write(bytes) {
      write ??= (isatty(fd) ? terminalWriter(name, fd) : null) ?? stream;
      return write(bytes);
    },
  };
}

/** Between two looks at a terminal that takes nothing, in milliseconds. */
const LOOK_MS = 5;

/**
 * Node and Bun write to terminals synchronously: one that was stopped (Ctrl-S)
 * would stop the program, and a server everything it serves. Opened anew it is
 * nobody else's, so that it can be told not to wait. Null if it cannot be.
 */
function terminalWriter(
  name: "stdout" | "stderr",
  fd: number,
): ((bytes: Uint8Array) => Promise<void>) | null {
  const { O_WRONLY, O_NOCTTY, O_NONBLOCK } = constants;
  let terminal: number;
  try {
    terminal = openSync(`/dev/fd/${fd}`, O_WRONLY | O_NOCTTY | O_NONBLOCK);
  } catch {
    return null;
  }
  let last = Promise.resolve();
  const write = async (bytes: Uint8Array) => {
    for (let rest = bytes; rest.byteLength > 0;) {
      try {
        rest = rest.subarray(writeSync(terminal, rest));
      } catch (thrown) {
        const error = osError(thrown);
        if (error.code !== "EAGAIN") throw writeError(name, error);
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    }
  };
  return (bytes) => {
    const written = last.then(() => write(bytes));
    last = written.catch(() => {});
    return written;
  };
}
