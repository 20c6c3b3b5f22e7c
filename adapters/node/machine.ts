/**
 * This machine, as Node shows it.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import process from "node:process";
import type { Machine } from "../../core/machine.ts";
import {
  encodingOfCodePage,
  encodingOfLocale,
} from "../../core/text/locale.ts";
import { files } from "./files.ts";
import { jobFiles } from "./job_files.ts";
import { dial, inspectTls, listen } from "./socket.ts";
import { spawner } from "./spawn.ts";

const IS_WINDOWS = process.platform === "win32";

/** `node 20.20.2`, or `bun 1.4.5`, which runs this adapter too. */
export const runtimeName: string = process.versions.bun === undefined
  ? `node ${process.versions.node}`
  : `bun ${process.versions.bun}`;

/** See the module's description. */
export const machine: Machine = {
  env: (name) => process.env[name],
  environment: () => ({ ...process.env }) as Record<string, string>,
  isRoot: () => process.getuid?.() === 0,
  isWindows: IS_WINDOWS,
  files,
  jobFiles,
  dial,
  listen,
  inspectTls,
  spawner,
  platform: () => ({
    os: IS_WINDOWS ? "windows" : process.platform,
    arch: ARCHITECTURES[process.arch] ?? process.arch,
    shell: IS_WINDOWS ? "cmd.exe" : "/bin/sh",
    encoding: consoleEncoding(),
    cwd: process.cwd(),
    runtime: runtimeName,
  }),
};

function consoleEncoding(): string {
  if (!IS_WINDOWS) return encodingOfLocale((name) => process.env[name]);
  try {
    return encodingOfCodePage(String(execFileSync("chcp.com")));
  } catch {
    return "utf-8";
  }
}

/** The names that uname(1) and Deno use. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "x86_64",
  arm64: "aarch64",
};
