/**
 * This machine, as Node shows it.
 *
 * @module
 */

import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import type { FileContents, Machine } from "../../core/machine.ts";
import { codeOf } from "./errors.ts";
import { dial, listen } from "./socket.ts";
import { spawner } from "./spawn.ts";

const IS_WINDOWS = process.platform === "win32";

/** `node 20.20.2`, or `bun 1.4.5`, which runs this adapter too. */
export function runtimeName(): string {
  const { bun, node } = process.versions;
  return bun === undefined ? `node ${node}` : `bun ${bun}`;
}

/** See the module's description. */
export const machine: Machine = {
  env: (name) => process.env[name],
  environment: () => ({ ...process.env }) as Record<string, string>,
  isWindows: IS_WINDOWS,
  files: { read, createPrivate },
  dial,
  listen,
  spawner,
  platform: () => ({
    os: IS_WINDOWS ? "windows" : process.platform,
    arch: ARCHITECTURES[process.arch] ?? process.arch,
    shell: IS_WINDOWS ? "cmd.exe" : "/bin/sh",
    encoding: "utf-8",
    cwd: process.cwd(),
    runtime: runtimeName(),
  }),
};

/** The names that uname(1) and Deno use. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "x86_64",
  arm64: "aarch64",
};

async function read(path: string): Promise<FileContents | null> {
  try {
    const text = await readFile(path, "utf8");
    const { mode } = await stat(path);
    return { text, mode: IS_WINDOWS ? null : mode & 0o777 };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

async function createPrivate(path: string, text: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Written beside it and linked into place, which fails if there is one.
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.close();
    await link(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}
