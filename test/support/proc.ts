/**
 * What Linux says of its processes. Where there is no `/proc` there are none.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

/** A process at the moment. */
export interface Stat {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly parent: number;
}

/** Null if there is no such process. */
export function statOf(pid: number): Stat | null {
  const text = textOf(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name may hold anything, parentheses too: count from the last one.
  const end = text.lastIndexOf(")");
  const name = text.slice(text.indexOf("(") + 1, end);
  const [state, parent] = text.slice(end + 2).split(" ");
  return { pid, name, state, parent: Number(parent) };
}

/** One that nobody has collected yet does not run. */
export function hasEnded(stat: Stat | null): boolean {
  return stat === null || stat.state === "Z" || stat.state === "X";
}

/**
 * The children of a process that run, as `pid (name)`, and those of a helper that
 * starts commands in its place. The helper itself counts for this process alone:
 * of another it goes with it.
 */
export function childrenOf(parent: number): string[] {
  return ownChildrenOf(parent).flatMap((child) => {
    if (!isHelper(child)) return [child];
    const started = ownChildrenOf(parseInt(child));
    return parent === process.pid ? [child, ...started] : started;
  });
}

/** Those of its children that start commands in its place. */
export function helpersOf(parent: number): string[] {
  return ownChildrenOf(parent).filter(isHelper);
}

function isHelper(child: string): boolean {
  const line = textOf(`/proc/${parseInt(child)}/cmdline`);
  return line !== null && HELPER.test(line);
}

/** What a helper runs, as its arguments show it. */
const HELPER = /spawn_helper_program\.(mjs|py)\0/;

function ownChildrenOf(parent: number): string[] {
  const own = listed(parent);
  // An empty list is the truth, and what is seen after almost every test; to
  // read all of `/proc` costs twenty times as much.
  if (own?.length === 0) return [];
  // Where one of several ends meanwhile, it may lack another.
  const running = runningOf(own ?? [], parent);
  return running.length > 0 ? running : runningOf(numbersIn("/proc"), parent);
}

function runningOf(pids: readonly number[], parent: number): string[] {
  return pids.map(statOf)
    .filter((stat) => !hasEnded(stat) && stat?.parent === parent)
    .map((stat) => `${stat?.pid} (${stat?.name})`);
}

/** By the kernel's own list, not all of which may run; null without one. */
function listed(parent: number): number[] | null {
  const threads = numbersIn(`/proc/${parent}/task`).map((thread) =>
    textOf(`/proc/${parent}/task/${thread}/children`)
  );
  if (threads.every((text) => text === null)) return null;
  return threads.flatMap((text) => text?.match(/\d+/g) ?? []).map(Number);
}

function numbersIn(directory: string): number[] {
  try {
    return readdirSync(directory).map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}
