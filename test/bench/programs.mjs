/**
 * Starting and ending the programs that are measured.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import process from "node:process";

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(130));
}

/**
 * @typedef {object} Program
 * @property {number} pid
 * @property {() => Promise<string>} line the next line of its stdout or stderr
 * @property {(text: string) => void} tell writes a line to its stdin
 * @property {() => Promise<void>} end
 */

/**
 * @param {string[]} argv
 * @param {"stdout" | "stderr"} [from] where its lines are
 * @returns {Program}
 */
export function start([program, ...args], from = "stdout") {
  const child = spawn(program, args, { stdio: "pipe" });
  running.add(child);
  const ended = new Promise((resolve) => {
    child.on("error", resolve);
    child.on("close", resolve);
  });
  ended.then(() => running.delete(child));
  child.stdin.on("error", () => {});
  // Read to the end either way: a full pipe would stop it.
  if (from === "stderr") child.stdout.resume();
  let complaints = "";
  child.stderr.on("data", (chunk) => {
    complaints = (complaints + chunk).slice(-2_000);
  });
  const lines = createInterface({ input: child[from] })[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    async line() {
      const { done, value } = await lines.next();
      if (!done) return value;
      throw new Error(`${program} ${args.join(" ")} ended: ${complaints}`);
    },
    tell: (text) => child.stdin.write(`${text}\n`),
    async end() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGTERM"), 1_000);
      const hard = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await ended;
      clearTimeout(timer);
      clearTimeout(hard);
    },
  };
}

/**
 * @param {string} program
 * @returns {Promise<string | null>} the first line that it prints of itself, or null
 */
export function versionOf(program, flag = "--version") {
  return new Promise((resolve) => {
    const child = spawn(program, [flag], { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.on("data", (chunk) => text += chunk);
    child.stderr.on("data", (chunk) => text += chunk);
    child.on("error", () => resolve(null));
    child.on("close", () => resolve(text.trim().split("\n")[0]));
  });
}

/**
 * @param {string[]} argv
 * @returns {Promise<number | null>} the exit code of a program run by itself
 */
export function exitOf([program, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "ignore" });
    child.on("error", reject);
    child.on("close", resolve);
  });
}
