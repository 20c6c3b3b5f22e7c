/**
 * The limit on Deno: a command of the same machine, with nothing in between.
 *
 * @module
 */

import { webCommand } from "./web_command.mjs";

/** @returns {Promise<import("./node_command.mjs").Connection>} */
export function connect() {
  return Promise.resolve({
    command([program, ...args], stdin = false) {
      const child = new Deno.Command(program, {
        args,
        stdin: stdin ? "piped" : "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      child.stderr.pipeTo(new WritableStream()).catch(() => {});
      return webCommand(
        () => child.stdout,
        () => child.stdin,
        child.status.then(({ code }) => code),
        () => child.kill(),
      );
    },
    close: () => Promise.resolve(),
  });
}
