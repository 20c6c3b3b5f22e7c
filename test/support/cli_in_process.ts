/**
 * The command line without a process of its own, for what touches files alone,
 * and for input that is the same whoever opens it.
 *
 * @module
 */

import { main } from "../../core/cli/main.ts";
import type { CliRuntime } from "../../core/cli/runtime.ts";
import { machine } from "./machine.ts";

/** The runtime that it has, and what it has written. */
export function cliRuntime(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string,
): {
  readonly runtime: CliRuntime;
  readonly written: { stdout: string; stderr: string };
} {
  const written = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr") => ({
    isTerminal: false,
    columns: () => null,
    write: (bytes: Uint8Array) => {
      written[name] += new TextDecoder().decode(bytes);
      return Promise.resolve();
    },
  });
  const never = () => {
    throw new Error("Not without a process");
  };
  const runtime: CliRuntime = {
    ...machine,
    name: "test 1.0",
    args,
    env: (name) => env[name],
    environment: () => ({ ...env }),
    stdin: {
      isTerminal: false,
      open: input === undefined ? never : () => new Blob([input]).stream(),
    },
    stdout: output("stdout"),
    stderr: output("stderr"),
    onSignal: input === undefined ? never : () => () => {},
    onUncaught: never,
    exit: never,
    editLines: never,
    stdio: never,
    labSockets: never,
  };
  return { runtime, written };
}

/** Runs `limpet` with these arguments, this environment and all of stdin. */
export async function inProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { runtime, written } = cliRuntime(args, env, input);
  return { code: await main(runtime), ...written };
}
