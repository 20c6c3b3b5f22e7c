/**
 * The command line's machine, on Node and Bun.
 *
 * @module
 */

import process from "node:process";
import { isatty } from "node:tty";
import type {
  CliRuntime,
  StandardInput,
  StandardOutput,
} from "../../core/cli/runtime.ts";
import { lostError, writeError } from "../../core/adapter/os_error.ts";
import { osError } from "./errors.ts";
import { lineEditor } from "./line_editor.ts";
import { machine, runtimeName } from "./machine.ts";
import { stdio } from "./stdio.ts";
import { readableOf } from "./streams.ts";

/** What the command line in core runs on. */
export function cliRuntime(): CliRuntime {
  return {
    ...machine,
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
    editLines: lineEditor,
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
  let opened: NodeJS.WriteStream | null = null;
  const open = (): NodeJS.WriteStream => {
    if (opened === null) {
      opened = process[name];
      // Every failure is told by the write that it befell.
      opened.on("error", () => {});
    }
    return opened;
  };
  return {
    isTerminal: isatty(fd),
    columns: () => open().columns ?? null,
    write: (bytes) =>
      new Promise((resolve, reject) => {
        open().write(bytes, (error) => {
          if (error) reject(writeError(name, osError(error)));
          else resolve();
        });
      }),
  };
}
