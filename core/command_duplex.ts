/**
 * The stdio of a program as the byte stream: `cmd:ssh box limpet serve --stdio`.
 *
 * @module
 */

import type { Duplex, Spawner } from "./ports.ts";

/** How long the program may take to end once we are done with it. */
const LINGER_MS = 1_000;

/**
 * Starts the line in the local shell. Its stderr is ours. It runs in a process
 * group of its own, so that Ctrl-C reaches the remote command rather than the
 * program in between; it has no terminal to ask for a password on.
 */
export async function commandDuplex(
  spawner: Spawner,
  line: string,
  environment: Record<string, string>,
): Promise<Duplex> {
  // The token is ours; the program gets by with what it is told to run.
  const { LIMPET_TOKEN: _, ...env } = environment;
  const process = await spawner({
    line,
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  });
  const stdin = process.stdin!.getWriter();
  stdin.closed.catch(() => {});
  const endSoon = () => {
    const timer = setTimeout(() => process.kill("SIGTERM"), LINGER_MS);
    process.status.then(() => clearTimeout(timer));
  };
  return {
    peer: `"${line}"`,
    readable: process.stdout!,
    writable: new WritableStream<Uint8Array>({
      write: (chunk) => stdin.write(chunk),
      close: () => {
        endSoon();
        return stdin.close();
      },
      abort: async (reason) => {
        process.kill("SIGTERM");
        await stdin.abort(reason);
      },
    }),
  };
}
