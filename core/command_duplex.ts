/**
 * The stdio of a program as the byte stream: `cmd:ssh box limpet serve --stdio`.
 *
 * @module
 */

import { LimpetError } from "./errors.ts";
import type { Duplex, ProcessHandle, Spawner } from "./ports.ts";

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
  const child = await spawner({
    line,
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  });
  const stdin = child.stdin!.getWriter();
  stdin.closed.catch(() => {});
  let closing = false;
  const endSoon = () => {
    closing = true;
    const timer = setTimeout(() => child.kill("SIGTERM"), LINGER_MS);
    child.status.then(() => clearTimeout(timer));
  };
  const source = child.stdout!.getReader();
  let spoke = false;
  /** Its own words are on stderr; this says who it was and how it ended. */
  const gone = async () => {
    const how = await describeEnd(child);
    return spoke
      ? new LimpetError("connection_lost", `Command "${line}" ${how}`)
      : new LimpetError(
        "connection_failed",
        `Cannot connect to cmd:${line}: the command ${how} before a server spoke`,
      );
  };
  return {
    peer: `"${line}"`,
    readable: new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await source.read();
        if (!done) {
          spoke = true;
          controller.enqueue(value);
        } else if (closing) {
          controller.close();
        } else {
          controller.error(await gone());
        }
      },
      cancel: (reason) => source.cancel(reason),
    }, { highWaterMark: 0 }),
    writable: new WritableStream<Uint8Array>({
      write: (chunk) =>
        stdin.write(chunk).catch(async (error) => {
          if (closing) throw error;
          throw await gone();
        }),
      close: () => {
        endSoon();
        return stdin.close();
      },
      abort: async (reason) => {
        closing = true;
        child.kill("SIGTERM");
        await stdin.abort(reason);
      },
    }),
  };
}

/** In words, once it is known; the streams may end a little earlier. */
async function describeEnd(child: ProcessHandle): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), LINGER_MS);
  });
  const status = await Promise.race([child.status, late]);
  clearTimeout(timer);
  if (status === null) return "closed its stdin or stdout";
  const { code, signal } = status;
  return signal === null
    ? `ended with exit code ${code}`
    : `was ended by ${signal}`;
}
