/**
 * What a spawn helper can be: a Python where there is one, which starts a command
 * in half of the time and has a fifth of the memory, else a Node.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

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

/** Those that may be here, the best one first. */
export function helperPrograms(): HelperProgram[] {
  return process.platform === "linux"
    ? [...pythonHelpers(), nodeHelper()]
    : [nodeHelper()];
}

/** Whether one is too old shows when it does not come up. */
export function pythonHelpers(): HelperProgram[] {
  return PYTHONS.filter((file) => existsSync(file))
    .map((file) => ({ file, args: [...PYTHON_FLAGS, programOf("py")] }));
}

export function nodeHelper(): HelperProgram {
  return { file: process.execPath, args: [...NODE_FLAGS, programOf("mjs")] };
}

function programOf(type: "mjs" | "py"): string {
  return join(import.meta.dirname, `spawn_helper_program.${type}`);
}
