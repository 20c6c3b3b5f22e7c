/**
 * The command line without a process of its own: on this runtime's sockets,
 * processes and files, with an environment, an input and outputs that are the
 * test's. For what does not depend on whose process it is; a start of a program
 * costs more than most of what it does.
 *
 * @module
 */

import { main } from "../../core/cli/main.ts";
import type { CliRuntime } from "../../core/cli/runtime.ts";
import { concat, streamOf } from "./bytes.ts";
import { environment, type Outcome, type RunOptions } from "./cli.ts";
import { machine } from "./machine.ts";

/** What it has written so far. */
interface Written {
  readonly bytes: Uint8Array;
  readonly stdout: string;
  readonly stderr: string;
}

/** The runtime that it has, and what it has written. */
export function cliRuntime(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string | Uint8Array,
): { readonly runtime: CliRuntime; readonly written: Written } {
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const output = (chunks: Uint8Array[]) => ({
    isTerminal: false,
    columns: () => null,
    write: (bytes: Uint8Array) => {
      // Its writer may use them again.
      chunks.push(bytes.slice());
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
      open: input === undefined ? never : () => streamOf([bytesOf(input)]),
    },
    stdout: output(out),
    stderr: output(err),
    onSignal: input === undefined ? never : () => () => {},
    onUncaught: never,
    exit: never,
    editLines: never,
    stdio: never,
    labSockets: never,
  };
  const text = (chunks: Uint8Array[]) =>
    new TextDecoder().decode(concat(chunks));
  const written = {
    get bytes() {
      return concat(out);
    },
    get stdout() {
      return text(out);
    },
    get stderr() {
      return text(err);
    },
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
  const code = await main(runtime);
  const { stdout, stderr } = written;
  return { code, stdout, stderr };
}

/** Like {@linkcode limpet} of `cli.ts`, and in this process. */
export async function limpetHere(
  args: readonly string[],
  { env, input = "" }: Pick<RunOptions, "env"> & {
    readonly input?: string | Uint8Array;
  } = {},
): Promise<Outcome> {
  const { runtime, written } = cliRuntime(args, environment(env), input);
  return { code: await main(runtime), signal: null, ...written };
}

function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? new TextEncoder().encode(input) : input;
}
