/**
 * The command line's machine, on Deno.
 *
 * @module
 */

import type {
  CliRuntime,
  StandardInput,
  StandardOutput,
} from "../../core/cli/runtime.ts";
import { streamOfReader } from "../../core/adapter/reader_stream.ts";
import { lostError, writeError } from "../../core/adapter/os_error.ts";
import { osError } from "./errors.ts";
import { machine, runtimeName } from "./machine.ts";
import { stdio } from "./stdio.ts";
import { SourceReader } from "./streams.ts";

/** What the command line in core runs on. */
export function cliRuntime(): CliRuntime {
  // This program does not change it, and each command that is started asks for it.
  let environment: Record<string, string> | null = null;
  return {
    ...machine,
    environment: () => environment ??= machine.environment(),
    name: runtimeName,
    args: Deno.args,
    stdin: standardInput(),
    stdout: standardOutput("stdout"),
    stderr: standardOutput("stderr"),
    onSignal: (name, handler) => {
      Deno.addSignalListener(name, handler);
      return () => Deno.removeSignalListener(name, handler);
    },
    onUncaught: (handler) => {
      addEventListener("error", (event) => {
        event.preventDefault();
        handler(event.error);
      });
      addEventListener("unhandledrejection", (event) => {
        event.preventDefault();
        handler(event.reason);
      });
    },
    exit: (code) => Deno.exit(code),
    editLines: async (codec) =>
      (await import("./line_editor.ts")).lineEditor(codec),
    stdio,
    labSockets: async () => (await import("./lab_sockets.ts")).labSockets,
  };
}

function standardInput(): StandardInput {
  return {
    isTerminal: Deno.stdin.isTerminal(),
    open: () =>
      streamOfReader(
        new SourceReader({
          read: (buffer) => Deno.stdin.read(buffer),
          over: () => {},
          explain: (error) => lostError(osError(error)),
        }),
      ),
  };
}

function standardOutput(name: "stdout" | "stderr"): StandardOutput {
  const output = Deno[name];
  return {
    isTerminal: output.isTerminal(),
    columns: () => output.isTerminal() ? Deno.consoleSize().columns : null,
    write: async (bytes) => {
      try {
        for (let rest = bytes; rest.byteLength > 0;) {
          rest = rest.subarray(await output.write(rest));
        }
      } catch (error) {
        throw writeError(name, osError(error));
      }
    },
  };
}
