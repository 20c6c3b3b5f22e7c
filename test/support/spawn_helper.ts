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

/** What a helper's program is written in; the first one is what a server takes. */
export const WRITTEN_IN = ["Python", "JavaScript"] as const;

/** Starts commands until one of them is a helper's child. */
export async function helperInUse(
  writtenIn: typeof WRITTEN_IN[number] = "Python",
): Promise<HelperInUse> {
  const { spawnHelperOf } = await import("../../adapters/node/spawn_helper.ts");
  const { nodeHelper, pythonHelpers } = await import(
    "../../adapters/node/helper_programs.ts"
  );
  const [python] = pythonHelpers();
  if (python === undefined) throw new Error("There is no /usr/bin/python3");
  const { spawner, close } = spawnHelperOf([
    writtenIn === "Python" ? python : nodeHelper(),
  ]);
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
