/**
 * What a helper of `spawn_helper.ts` runs where there is no Python: starts what it
 * is told to, and tells how it ended. A line of JSON each, and nothing else, so
 * that it stays small. `spawn_helper_program.py` does the same, and is to be
 * changed with it.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { constants as os } from "node:os";
import process from "node:process";

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * @typedef {"ignore" | { path: string, writes: boolean }} End
 * @typedef {object} Start
 * @property {number} id
 * @property {string} file
 * @property {string[]} args
 * @property {string} [cwd]
 * @property {Record<string, string>} env
 * @property {End[]} stdio
 *
 * @typedef {object} Signal
 * @property {number} id
 * @property {number | null} signal null: there will be none any more
 */

const output = new Socket({ fd: 1, readable: false, writable: true });
const input = new Socket({ fd: 0, readable: true, writable: false });

/** @type {Map<number, number>} the process groups, as long as they get signals */
const groups = new Map();

/** @param {object} message */
function tell(message) {
  output.write(`${JSON.stringify(message)}\n`);
}

/** @param {Start} start */
function begin({ id, file, args, cwd, env, stdio }) {
  const failed = (/** @type {NodeJS.ErrnoException} */ { code, message }) =>
    tell({ id, error: { code, message } });
  /** @type {number[]} */
  const opened = [];
  try {
    const ends = stdio.map((end) => {
      if (end === "ignore") return end;
      const fd = open(end);
      opened.push(fd);
      return fd;
    });
    const child = spawn(file, args, { cwd, env, stdio: ends, detached: true });
    child.on("error", failed);
    const { pid } = child;
    if (pid === undefined) return;
    groups.set(id, pid);
    child.once("exit", (code, signal) => {
      // At once, while the number cannot be anybody else's.
      const isGone = !isThere(pid);
      if (isGone) groups.delete(id);
      tell({ id, code, signal: signal && os.signals[signal], isGone });
    });
    tell({ id, pid });
  } catch (error) {
    failed(/** @type {NodeJS.ErrnoException} */ (error));
  } finally {
    opened.forEach((fd) => closeSync(fd));
  }
}

/**
 * The child's end of a named pipe. Opening one waits for the other end, which is
 * open, unless the server has gone meanwhile: so there is another of ours.
 *
 * @param {{ path: string, writes: boolean }} end
 * @returns {number}
 */
function open({ path, writes }) {
  /** @type {number[]} */
  const others = [openSync(path, O_RDONLY | O_NONBLOCK)];
  try {
    if (writes) return openSync(path, O_WRONLY);
    others.push(openSync(path, O_WRONLY | O_NONBLOCK));
    return openSync(path, O_RDONLY);
  } finally {
    others.forEach((fd) => closeSync(fd));
  }
}

/** @param {number} pid */
function isThere(pid) {
  try {
    return process.kill(-pid, 0);
  } catch (error) {
    // They belong to another user.
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}

/** @param {Signal} message */
function pass({ id, signal }) {
  const pid = groups.get(id);
  if (pid === undefined) return;
  if (signal === null) {
    groups.delete(id);
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch {
    // It has gone, or belongs to another user.
  }
}

// The server alone ends this process, by ending itself or its pipe: what stops a
// service may tell all of it to stop, and then the server waits for its commands.
for (const signal of /** @type {const} */ (["SIGHUP", "SIGINT", "SIGTERM"])) {
  process.on(signal, () => {});
}

/** @type {Start[]} */
const waiting = [];

/** One at a time: a signal that comes meanwhile does not wait for all of them. */
function beginNext() {
  const start = waiting.shift();
  if (start !== undefined) begin(start);
  if (waiting.length > 0) setImmediate(beginNext);
}

let text = "";
input.setEncoding("utf8");
input.on("data", (chunk) => {
  const lines = `${text}${chunk}`.split("\n");
  text = lines.pop() ?? "";
  for (const line of lines) {
    const message = JSON.parse(line);
    if ("signal" in message) pass(message);
    else if (waiting.push(message) === 1) setImmediate(beginNext);
  }
});
const over = () => process.exit();
input.on("end", over).on("error", over);
output.on("error", over);
tell({ up: true });
