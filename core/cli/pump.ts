/**
 * From a command's stream to one of our own.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Filter } from "./encoding.ts";
import { signalStatus } from "./exit_status.ts";
import type { StandardOutput } from "./runtime.ts";

/**
 * Writes what comes until its end, each piece through `filter` if there is one,
 * and tells `onWritten` whenever some of it has been taken. If whoever reads our
 * output has gone, the command's pipe is closed, as in a local pipeline, and it
 * resolves to false. Rejects if the stream breaks off, or our output cannot be
 * written for another reason; then too the command's pipe is closed.
 */
export async function pumpOutput(
  from: ReadableStream<Uint8Array>,
  to: StandardOutput,
  filter?: Filter,
  onWritten?: () => void,
): Promise<boolean> {
  const reader = from.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const bytes = done ? filter?.end() : filter?.push(value) ?? value;
      if (bytes !== undefined && bytes.byteLength > 0) {
        await to.write(bytes);
        onWritten?.();
      }
      if (done) return true;
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    if (!(error instanceof LimpetError) || error.code !== "broken_pipe") {
      throw error;
    }
    return false;
  }
}

/**
 * Settles once one of our outputs is found to have no reader any more, to the exit
 * status of a program that this ends. A job is not told of it as a command of ours
 * is, by SIGPIPE: waiting for its end could take for ever.
 */
export function whenUnread(
  pumps: readonly Promise<boolean>[],
): Promise<number> {
  return new Promise((resolve) => {
    const look = (isWhole: boolean) => {
      if (!isWhole) resolve(signalStatus("SIGPIPE"));
    };
    for (const pump of pumps) pump.then(look, () => {});
  });
}
