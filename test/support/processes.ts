/**
 * Processes, looked at from outside. Linux alone.
 *
 * @module
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { eventually } from "./leaks.ts";
import { hasEnded, statOf } from "./proc.ts";

/**
 * A line of shell that says `pid` and its number, and then sleeps. Its `exec` is
 * over by then: a SIGINT that meets dash in it is lost, and `sleep` runs on.
 */
export const SLEEPER: string =
  `exec perl -e '$| = 1; print "pid $$\\n"; sleep 1000'`;

/** Whether a process runs. One that nobody has collected yet does not. */
export function isAlive(pid: number): boolean {
  return !hasEnded(statOf(pid));
}

/** Waits until none of the processes runs. */
export async function untilGone(
  pids: readonly number[],
  ms?: number,
): Promise<void> {
  await eventually(
    () => !pids.some(isAlive),
    () => `processes run on: ${pids.filter(isAlive)}`,
    ms,
  );
}

/**
 * Waits until the main threads of all of them wait, time and again: nobody goes
 * round and round, and nobody has anything to pass on to another.
 */
export async function untilResting(pids: readonly number[]): Promise<void> {
  let calm = 0;
  await eventually(
    () => {
      const states = pids.map((pid) => statOf(pid)?.state);
      calm = states.every((state) => state === "S") ? calm + 1 : 0;
      return calm === 20;
    },
    () => `processes rest: ${pids}`,
  );
}

/** How many descriptors a process has open. */
export function openOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** What the descriptors of a process lead to, as `socket:[4711]`. */
export function whatIsOpen(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return "gone";
    }
  });
}

/** Memory of a process that is in RAM now, in bytes. */
export function residentBytes(pid: number = process.pid): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = /^VmRSS:\s*(\d+) kB/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`Process ${pid} has no VmRSS`);
  return Number(kibibytes) * 1024;
}
