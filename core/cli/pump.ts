/**
 * From a command's stream to one of our own.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Filter } from "./encoding.ts";
import type { StandardOutput } from "./runtime.ts";

/**
 * Writes what comes until its end, each piece through `filter` if there is one,
 * and tells `onWritten` whenever some of it has been taken. If whoever reads our
 * output has gone, the command's pipe is closed, as in a local pipeline. Rejects
 * if the stream breaks off, or our output cannot be written for another reason;
 * then too the command's pipe is closed.
 */
export async function pumpOutput(
  from: ReadableStream<Uint8Array>,
  to: StandardOutput,
  filter?: Filter,
  onWritten?: () => void,
): Promise<void> {
  const reader = from.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const bytes = done ? filter?.end() : filter?.push(value) ?? value;
      if (bytes !== undefined && bytes.byteLength > 0) {
        await to.write(bytes);
        onWritten?.();
      }
      if (done) return;
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    if (!(error instanceof LimpetError) || error.code !== "broken_pipe") {
      throw error;
    }
  }
}
