/**
 * The files of a server's jobs.
 *
 * Permissions: `--allow-read` and `--allow-write` of their folder. Only with
 * `--allow-all` can it be told whether a server that left its lock there still
 * runs if its number was given to another process.
 *
 * @module
 */

import { isRunning, markOf } from "../../core/adapter/process_mark.ts";
import type { FolderEntry, JobFiles } from "../../core/ports.ts";
import { codeOf } from "./errors.ts";
import { files } from "./files.ts";

/** See {@linkcode JobFiles}. */
export const jobFiles: JobFiles = {
  makeFolder: (path) => Deno.mkdir(path, { recursive: true, mode: 0o700 }),
  list: (path) => orNull(() => list(path), []),
  read: async (path) => (await files.read(path))?.text ?? null,
  create: files.createPrivate,
  replace: files.replacePrivate,
  remove: (path) =>
    orNull(() => Deno.remove(path, { recursive: true }), undefined),
  append: files.openLog,
  readAt: (path, position, length) =>
    orNull(() => readAt(path, position, length), null),
  ownMark: () => markOf(Deno.pid, Deno.readTextFileSync),
  isRunning: (mark) => isRunning(mark, Deno.readTextFileSync, answers),
};

async function list(path: string): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = [];
  for await (const { name, isFile } of Deno.readDir(path)) {
    if (!isFile) {
      entries.push({ name, bytes: null });
      continue;
    }
    // What goes meanwhile was there or not, as it likes; the others were.
    const stats = await orNull(() => Deno.lstat(`${path}/${name}`), null);
    if (stats !== null) entries.push({ name, bytes: stats.size });
  }
  return entries;
}

async function readAt(
  path: string,
  position: number,
  length: number,
): Promise<Uint8Array> {
  using file = await Deno.open(path);
  await file.seek(position, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  let count = 0;
  while (count < length) {
    const read = await file.read(bytes.subarray(count));
    if (read === null) break;
    count += read;
  }
  return bytes.subarray(0, count);
}

async function orNull<T, N>(action: () => Promise<T>, none: N): Promise<T | N> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return none;
    throw error;
  }
}

/** Whoever may not ask gets the answer that harms nobody. */
function answers(pid: number): boolean {
  try {
    Deno.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}
