/**
 * From a channel's stream into a process's stdin.
 *
 * @module
 */

import type { GatheringStream } from "../ports.ts";

/** What is less than that is written together with what waits behind it. */
const GATHERED_BYTES = 65_536;

/**
 * Writes what comes until its end, which is the process's end of file. If the
 * process closes its stdin, the sender is told to stop. If what comes is cut
 * off, the process's stdin stays open until `ended`, so that nobody can take the
 * cut for the end. `onWritten` is told of the bytes that the process was given, not
 * of those that were being written when it closed its stdin.
 * Frames and reads of a socket end at different places, so half of the pieces may
 * be a few bytes: those need no write of their own. `waiting` tells how many bytes
 * can be read at once.
 */
export async function pumpInput(
  from: ReadableStream<Uint8Array>,
  to: GatheringStream,
  ended: Promise<unknown>,
  onWritten: (bytes: number) => void = () => {},
  waiting: () => number = () => 0,
): Promise<void> {
  const reader = from.getReader();
  const writer = to.getWriter();
  // What the process left behind may hold the other end and never read it.
  ended.then(() => writer.abort().catch(() => {}));
  // Closed under us by the process, even while nothing is being written.
  writer.closed.catch(() => reader.cancel().catch(() => {}));
  for (;;) {
    let chunk: ReadableStreamReadResult<Uint8Array>;
    try {
      chunk = await reader.read();
    } catch {
      return;
    }
    try {
      if (chunk.done) return await writer.close();
      const pieces = [chunk.value];
      let bytes = chunk.value.byteLength;
      while (bytes < GATHERED_BYTES && to.writev && waiting() > 0) {
        const { value } = await reader.read();
        if (value === undefined) break;
        pieces.push(value);
        bytes += value.byteLength;
      }
      if (pieces.length > 1) await to.writev!(pieces);
      else await writer.write(chunk.value);
      onWritten(bytes);
    } catch {
      reader.cancel().catch(() => {});
      return;
    }
  }
}
