/**
 * The process that a spawn helper is: of Python where there is one, which starts
 * a command in half of the time and a fifth of the memory, else of Node.
 *
 * @module
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Readable, Writable } from "node:stream";

/** The system's own, not whatever PATH has first. */
const PYTHONS = ["/usr/bin/python3", "/usr/local/bin/python3"];

/** Nothing of the user's: no variables, no packages, no folder of the script's. */
const PYTHON_FLAGS = ["-I", "-S"];

/** What new objects live in stays small, and with it what is forked. */
const NODE_FLAGS = ["--max-semi-space-size=1"];

/** What can be a helper: both speak the same lines of JSON. */
export interface HelperProgram {
  readonly file: string;
  readonly args: readonly string[];
}

/** What a helper is, with both its pipes. */
export type HelperProcess = ChildProcessByStdio<Writable, Readable, null>;

/** Those that may be here, the best one first. */
export function helperPrograms(): HelperProgram[] {
  return process.platform === "linux"
    ? [...pythonHelpers(), nodeHelper()]
    : [nodeHelper()];
}

export function pythonHelpers(): HelperProgram[] {
  return PYTHONS.filter((file) => existsSync(file)).slice(0, 1)
    .map((file) => ({ file, args: [...PYTHON_FLAGS, programOf("py")] }));
}

export function nodeHelper(): HelperProgram {
  return { file: process.execPath, args: [...NODE_FLAGS, programOf("mjs")] };
}

function programOf(type: "mjs" | "py"): string {
  return join(import.meta.dirname, `spawn_helper_program.${type}`);
}

/** Null if there is no room for it at the moment, or its program is not there. */
export function startHelper(
  { file, args }: HelperProgram,
): HelperProcess | null {
  try {
    // Nothing of our environment, which has secrets. In a session of its own, it
    // does not hear of a terminal's Ctrl-C.
    const child = spawn(file, args, {
      detached: true,
      env: {},
      stdio: ["pipe", "pipe", "ignore"],
    });
    child.on("error", () => {}).unref();
    // It has none where descriptors are short, whatever its type says.
    return child.stdin === undefined ? null : child;
  } catch {
    return null;
  }
}
