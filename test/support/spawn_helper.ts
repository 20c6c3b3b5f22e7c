/**
 * Helpers that start commands in place of this process. Node alone has them.
 *
 * @module
 */

import process from "node:process";
import type { Command, Spawner } from "../../core/ports.ts";
import { textOf } from "./bytes.ts";
import { statOf } from "./proc.ts";

/** One that starts commands from now on. */
export interface HelperInUse extends AsyncDisposable {
  readonly spawner: Spawner;
  /** Its process id. */
  readonly pid: number;
  close(): Promise<void>;
}

/** Starts commands until one of them is a helper's child. */
export async function helperInUse(): Promise<HelperInUse> {
  const { spawnHelper } = await import("../../adapters/node/spawn_helper.ts");
  const { spawner, close } = spawnHelper();
  for (;;) {
    const pid = await parentOf(spawner);
    if (pid !== process.pid) {
      return { spawner, pid, close, [Symbol.asyncDispose]: close };
    }
  }
}

/** The parent of a command that it starts. */
export async function parentOf(spawner: Spawner): Promise<number> {
  const child = await spawner(SHELL);
  const parent = statOf(child.pid)?.parent ?? 0;
  const [said] = await Promise.all([
    textOf(child.stdout!),
    child.stdin!.close(),
    child.status,
  ]);
  if (said !== `${parent}\n`) throw new Error(`Parent: ${parent}, not ${said}`);
  return parent;
}

/** Says its parent's number and stays until its input ends. */
const SHELL: Command = {
  line: "echo $PPID; cat",
  env: { PATH: "/usr/bin:/bin" },
  stdin: "piped",
  stdout: "piped",
  stderr: "null",
};
