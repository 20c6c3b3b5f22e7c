/**
 * What processes cost, from Linux's /proc.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";

/** Ticks of a processor's time in a second; Linux tells programs no other. */
const TICKS = 100;

/** Programs that are measured with, and not themselves. */
const COMMANDS = new Set(["cat", "head", "true", "sh", "bash", "sleep"]);

/**
 * @param {number} pid
 * @returns {{ name: string, parent: number, ticks: number } | null}
 */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = text.lastIndexOf(")");
    const fields = text.slice(end + 2).split(" ");
    return {
      name: text.slice(text.indexOf("(") + 1, end),
      parent: Number(fields[1]),
      ticks: Number(fields[11]) + Number(fields[12]),
    };
  } catch {
    return null;
  }
}

/**
 * Programs with all their descendants, commands left out.
 *
 * @param {number[]} roots
 * @returns {Map<number, number>} the ticks of each process, by its id
 */
function family(roots) {
  const all = new Map();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    const stat = Number.isInteger(pid) ? statOf(pid) : null;
    if (stat !== null) all.set(pid, stat);
  }
  const members = new Set(roots);
  // Children have larger ids nearly always; a few rounds find the others.
  for (let before = -1; before !== members.size;) {
    before = members.size;
    for (const [pid, { parent, name }] of all) {
      if (members.has(parent) && !COMMANDS.has(name)) members.add(pid);
    }
  }
  return new Map(
    [...members].flatMap((pid) => {
      const stat = all.get(pid);
      return stat === undefined || COMMANDS.has(stat.name)
        ? []
        : [[pid, stat.ticks]];
    }),
  );
}

/**
 * Measures the processor time of a family until it is told to stop. Looks again
 * and again, for a process that has ended tells nothing any more.
 *
 * @param {number[]} roots
 * @returns {() => number} stops; seconds
 */
export function watchTime(roots) {
  const before = family(roots);
  const last = new Map(before);
  const look = () => {
    for (const [pid, ticks] of family(roots)) last.set(pid, ticks);
  };
  const timer = setInterval(look, 100);
  return () => {
    clearInterval(timer);
    look();
    let ticks = 0;
    for (const [pid, now] of last) ticks += now - (before.get(pid) ?? 0);
    return ticks / TICKS;
  };
}

/**
 * What a family keeps in memory, what it shares counted once.
 *
 * @param {number[]} roots
 * @returns {number} bytes
 */
export function memoryOf(roots) {
  let bytes = 0;
  for (const pid of family(roots).keys()) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      bytes += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
    } catch {
      // It has ended.
    }
  }
  return bytes;
}

/** @returns {number} processes that are running or want to, in the last minute */
export function load() {
  return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
}
