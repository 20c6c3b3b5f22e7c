/**
 * This machine, as Deno shows it.
 *
 * @module
 */

import type { Machine } from "../../core/machine.ts";
import {
  encodingOfCodePage,
  encodingOfLocale,
} from "../../core/text/locale.ts";
import { files } from "./files.ts";
import { jobFiles } from "./job_files.ts";
import { dial, inspectTls, listen } from "./socket.ts";
import { spawner } from "./spawn.ts";

const IS_WINDOWS = Deno.build.os === "windows";

/** `deno 2.9.5`. */
export const runtimeName: string = `deno ${Deno.version.deno}`;

/** See the module's description. */
export const machine: Machine = {
  env,
  environment: () => Deno.env.toObject(),
  isRoot,
  isWindows: IS_WINDOWS,
  files,
  jobFiles,
  dial,
  listen,
  inspectTls,
  spawner,
  platform: () => ({
    os: Deno.build.os,
    arch: Deno.build.arch,
    shell: IS_WINDOWS ? "cmd.exe" : "/bin/sh",
    encoding: consoleEncoding(),
    cwd: Deno.cwd(),
    runtime: runtimeName,
  }),
};

function consoleEncoding(): string {
  if (!IS_WINDOWS) return encodingOfLocale(env);
  try {
    const { stdout } = new Deno.Command("chcp.com").outputSync();
    return encodingOfCodePage(new TextDecoder().decode(stdout));
  } catch {
    return "utf-8";
  }
}

/** A variable that we may not see is as good as one that is not set. */
function env(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

/** Needs `--allow-sys=uid`. */
function isRoot(): boolean | null {
  try {
    const uid = Deno.uid();
    return uid === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return null;
    throw error;
  }
}
