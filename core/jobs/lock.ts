/**
 * One server at a time in a folder.
 *
 * @module
 */

import type { JobFiles } from "../ports.ts";

const PREFIX = ".lock.";

/**
 * Takes the lock of a folder: resolves to its file, or to null if a process that
 * runs has it. What a process that runs no more has left is succeeded, and nobody
 * ever touches a lock that may be somebody's: each is a file with a number of its
 * own, only one can make the next one, and whoever has made it gives way if there is
 * another one after all.
 */
export async function takeLock(
  files: JobFiles,
  folder: string,
): Promise<string | null> {
  for (;;) {
    const before = await locksIn(files, folder);
    if (await isAnyHeld(files, folder, before)) return null;
    const own = Math.max(0, ...before) + 1;
    const path = pathOf(folder, own);
    if (!await files.create(path, files.ownMark())) continue;
    const others = (await locksIn(files, folder)).filter((n) => n !== own);
    if (await isAnyHeld(files, folder, others)) {
      await files.remove(path);
      return null;
    }
    for (const other of others) await files.remove(pathOf(folder, other));
    return path;
  }
}

/** The numbers of the locks that are there. */
async function locksIn(files: JobFiles, folder: string): Promise<number[]> {
  const entries = await files.list(folder);
  return entries.map(({ name }) => name).filter((name) =>
    name.startsWith(PREFIX) && /^\d{1,15}$/.test(name.slice(PREFIX.length))
  ).map((name) => Number(name.slice(PREFIX.length)));
}

async function isAnyHeld(
  files: JobFiles,
  folder: string,
  locks: readonly number[],
): Promise<boolean> {
  const marks = await Promise.all(
    locks.map((number) => files.read(pathOf(folder, number))),
  );
  return marks.some((mark) => mark !== null && files.isRunning(mark));
}

function pathOf(folder: string, number: number): string {
  return `${folder}/${PREFIX}${number}`;
}
