/**
 * One server at a time in a folder.
 *
 * @module
 */

import type { JobFiles } from "../ports.ts";

/**
 * Takes the lock that is this file; false if a process that runs has it. What a
 * process that runs no more has left is taken over.
 */
export async function takeLock(
  files: JobFiles,
  path: string,
): Promise<boolean> {
  const own = files.ownMark();
  for (;;) {
    if (await files.create(path, own)) return true;
    const owner = await files.read(path);
    if (owner === null) continue;
    if (files.isRunning(owner)) return false;
    // Somebody else may find it at the same time, and be quicker: whoever moves
    // it away looks at what it was, and gives back what is not to be taken.
    const away = `${path}.${crypto.randomUUID()}`;
    try {
      await files.rename(path, away);
    } catch {
      continue;
    }
    const moved = await files.read(away);
    if (moved !== null && files.isRunning(moved)) {
      await files.rename(away, path);
      return false;
    }
    await files.remove(away);
  }
}
