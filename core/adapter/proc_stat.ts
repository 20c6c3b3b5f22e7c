/**
 * Reads Linux's `/proc` to tell the living from those not yet buried.
 *
 * @module
 */

/** Whether a process group has a member that has not ended. */
export function groupHasMembers(
  group: number,
  entries: Iterable<string>,
  read: (path: string) => string,
): boolean {
  for (const entry of entries) {
    if (!/^\d+$/.test(entry)) continue;
    let stat: string;
    try {
      stat = read(`/proc/${entry}/stat`);
    } catch {
      continue; // It ended while we looked.
    }
    // "pid (name) state ppid pgrp …", and the name may contain anything.
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 3);
    if (Number(pgrp) === group && state !== "Z" && state !== "X") return true;
  }
  return false;
}
