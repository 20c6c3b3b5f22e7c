/**
 * What tells a process from all others of its machine, also from a later one
 * that happens to get the same number: its number and when it started.
 *
 * @module
 */

/** A mark of the process. `read` may throw; without `/proc` it is the number. */
export function markOf(pid: number, read: (path: string) => string): string {
  const started = startOf(pid, read);
  return started === null ? String(pid) : `${pid} ${started}`;
}

/**
 * Whether the process of that mark runs. `answers` tells whether a process of
 * that number is there at all.
 */
export function isRunning(
  mark: string,
  read: (path: string) => string,
  answers: (pid: number) => boolean,
): boolean {
  const [pid, started] = mark.trim().split(" ");
  if (!/^\d+$/.test(pid) || !answers(Number(pid))) return false;
  const now = startOf(Number(pid), read);
  // What cannot be compared may well be the same one.
  return now === null || started === undefined || now === started;
}

/** In ticks since the machine started; null where it cannot be told. */
function startOf(pid: number, read: (path: string) => string): string | null {
  try {
    const stat = read(`/proc/${pid}/stat`);
    // "pid (name) state ppid …", and the name may contain anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}
