/**
 * Reads Linux's `/proc` to tell the living from those not yet buried.
 *
 * @module
 */

/** The process id of a member of a group that has not ended; null if none. */
export function livingMember(
  group: number,
  entries: Iterable<string>,
  read: (path: string) => string,
): number | null {
  for (const entry of entries) {
    if (/^\d+$/.test(entry) && isLiving(Number(entry), group, read)) {
      return Number(entry);
    }
  }
  return null;
}

/** Whether a process has not ended and is in the group. */
export function isLiving(
  pid: number,
  group: number,
  read: (path: string) => string,
): boolean {
  let stat: string;
  try {
    stat = read(`/proc/${pid}/stat`);
  } catch (error) {
    // Deno may forbid it; what we may not see has not ended because of that.
    if (error instanceof Error && error.name === "NotCapable") throw error;
    return false; // It ended while we looked.
  }
  // "pid (name) state ppid pgrp …", and the name may contain anything.
  const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 3);
  return Number(pgrp) === group && state !== "Z" && state !== "X";
}
