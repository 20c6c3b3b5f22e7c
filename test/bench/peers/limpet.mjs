/**
 * Limpet itself: the library against the server that the command line starts.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { webCommand } from "./web_command.mjs";

const { connect: connectTo } = "Deno" in globalThis
  ? await import("../../../adapters/deno/mod.ts")
  : await import("../../../dist/node.js");

/**
 * @param {{ scheme: string, port: number, token: string, pin?: string, early?: boolean }} address
 * @returns {Promise<import("./node_command.mjs").Connection>}
 */
export async function connect({ scheme, port, token, pin, early }) {
  const session = await connectTo(`${scheme}://127.0.0.1:${port}`, {
    token: readFileSync(token, "utf8").trim(),
    early,
    tls: pin === undefined ? undefined : { pin },
  });
  return {
    command([program, ...args], stdin = false) {
      const child = session.spawn(program, {
        args,
        stdin: stdin ? "piped" : "null",
      });
      return webCommand(
        () => child.stdout,
        () => child.stdin,
        child.status.then(({ code }) => code),
        () => child.terminate(),
      );
    },
    close: () => session.close(),
  };
}
