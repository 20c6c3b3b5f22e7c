/**
 * The files of a server's jobs.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { lstat, mkdir, open, readdir, rm } from "node:fs/promises";
import process from "node:process";
import { isRunning, markOf } from "../../core/adapter/process_mark.ts";
import type { FolderEntry, JobFiles } from "../../core/ports.ts";
import { codeOf } from "./errors.ts";
import { files } from "./files.ts";

/** See {@linkcode JobFiles}. */
export const jobFiles: JobFiles = {
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  list: (path) => orNull(() => list(path), []),
  read: async (path) => (await files.read(path))?.text ?? null,
  create: files.createPrivate,
  replace: files.replacePrivate,
  remove: (path) => rm(path, { recursive: true, force: true }),
  append: files.openLog,
  readAt: (path, position, length) =>
    orNull(() => readAt(path, position, length), null),
  ownMark: () => markOf(process.pid, readProc),
  isRunning: (mark) => isRunning(mark, readProc, answers),
};

async function list(path: string): Promise<FolderEntry[]> {
  const entries = await readdir(path, { withFileTypes: true });
  const found = await Promise.all(entries.map(async (entry) => {
    const { name } = entry;
    if (!entry.isFile()) return { name, bytes: null };
    // What goes meanwhile was there or not, as it likes; the others were.
    const stats = await orNull(() => lstat(`${path}/${name}`), null);
    return stats === null ? null : { name, bytes: stats.size };
  }));
  return found.filter((entry) => entry !== null);
}

async function readAt(
  path: string,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array(length);
    let count = 0;
    while (count < length) {
      const rest = length - count;
      const { bytesRead } = await file.read(
        bytes,
        count,
        rest,
        position + count,
      );
      if (bytesRead === 0) break;
      count += bytesRead;
    }
    return bytes.subarray(0, count);
  } finally {
    await file.close();
  }
}

async function orNull<T, N>(action: () => Promise<T>, none: N): Promise<T | N> {
  try {
    return await action();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return none;
    throw error;
  }
}

function readProc(path: string): string {
  return readFileSync(path, "latin1");
}

function answers(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
