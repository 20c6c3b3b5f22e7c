/**
 * From a channel's stream into a process's stdin.
 *
 * @module
 */

import type { JobInput } from "./job_channel.ts";

/**
 * What has come already is written together up to so much: frames and what is read
 * from a connection do not end at the same places, so every other piece is a few
 * bytes, and a write of those costs more than to copy all of them.
 */
const GATHER_BYTES = 131_072;

/**
 * Writes what comes until its end, which is the process's end of file. If the
 * process closes its stdin, the sender is told to stop. If what comes is cut
 * off, the process's stdin stays open until `ended`, so that nobody can take the
 * cut for the end. `onWritten` is told of the bytes that the process was given.
 */
export async function pumpInput(
  from: Pick<JobInput, "readable" | "buffered">,
  to: WritableStream<Uint8Array>,
  ended: Promise<unknown>,
  onWritten: (bytes: number) => void = () => {},
): Promise<void> {
  const reader = from.readable.getReader();
  const writer = to.getWriter();
  // What the process left behind may hold the other end and never read it.
  ended.then(() => writer.abort().catch(() => {}));
  // Closed under us by the process, even while nothing is being written.
  writer.closed.catch(() => reader.cancel().catch(() => {}));
  /** Nobody looks at it between two writes; after one that failed it is let go. */
  let memory: Uint8Array | null = null;
  /** What there was no room for. */
  let rest: Uint8Array | null = null;

  /** That piece, and behind it what else is there. */
  async function gather(first: Uint8Array): Promise<Uint8Array> {
    if (!from.buffered || first.byteLength >= GATHER_BYTES) return first;
    memory ??= new Uint8Array(GATHER_BYTES);
    memory.set(first);
    let filled = first.byteLength;
    while (from.buffered) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.byteLength > GATHER_BYTES) {
        rest = value;
        break;
      }
      memory.set(value, filled);
      filled += value.byteLength;
    }
    return memory.subarray(0, filled);
  }

  for (;;) {
    let bytes: Uint8Array | null;
    try {
      bytes = rest ?? (await reader.read()).value ?? null;
      rest = null;
      if (bytes !== null) bytes = await gather(bytes);
    } catch {
      return;
    }
    try {
      if (bytes === null) return await writer.close();
      const { byteLength } = bytes;
      await writer.write(bytes);
      onWritten(byteLength);
    } catch {
      reader.cancel().catch(() => {});
      return;
    }
  }
}
