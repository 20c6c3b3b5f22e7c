/**
 * The limit: a command of the same machine, with nothing in between.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { nodeCommand } from "./node_command.mjs";

/** @returns {Promise<import("./node_command.mjs").Connection>} */
export function connect() {
  return Promise.resolve({
    command([program, ...args], stdin = false) {
      const child = spawn(program, args, {
        stdio: [stdin ? "pipe" : "ignore", "pipe", "pipe"],
      });
      const exit = new Promise((resolve, reject) => {
        child.on("close", resolve);
        child.on("error", reject);
      });
      child.stderr.resume();
      return nodeCommand(child.stdout, child.stdin, exit, () => child.kill());
    },
    close: () => Promise.resolve(),
  });
}
