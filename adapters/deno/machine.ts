/**
 * This machine, as Deno shows it.
 *
 * @module
 */

import type { FileContents, Machine } from "../../core/machine.ts";
import { dial, listen } from "./socket.ts";
import { spawner } from "./spawn.ts";

const IS_WINDOWS = Deno.build.os === "windows";

/** `deno 2.9.5` */
export function runtimeName(): string {
  return `deno ${Deno.version.deno}`;
}

/** See the module's description. */
export const machine: Machine = {
  env,
  environment: () => Deno.env.toObject(),
  isWindows: IS_WINDOWS,
  files: { read, createPrivate },
  dial,
  listen,
  spawner,
  platform: () => ({
    os: Deno.build.os,
    arch: Deno.build.arch,
    shell: IS_WINDOWS ? "cmd.exe" : "/bin/sh",
    encoding: "utf-8",
    cwd: Deno.cwd(),
    runtime: runtimeName(),
  }),
};

/** A variable that we may not see is as good as one that is not set. */
function env(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

async function read(path: string): Promise<FileContents | null> {
  try {
    const text = await Deno.readTextFile(path);
    const { mode } = await Deno.stat(path);
    return { text, mode: mode === null ? null : mode & 0o777 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function createPrivate(path: string, text: string): Promise<boolean> {
  const folder = path.replace(IS_WINDOWS ? /[\\/][^\\/]*$/ : /\/[^/]*$/, "");
  if (folder !== path && folder !== "") {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  }
  // Written beside it and linked into place, which fails if there is one.
  const draft = `${path}.${Deno.pid}`;
  await Deno.writeTextFile(draft, text, { createNew: true, mode: 0o600 });
  try {
    await Deno.link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  } finally {
    await Deno.remove(draft);
  }
}
