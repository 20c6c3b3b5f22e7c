/**
 * From a channel's stream into a process's stdin.
 *
 * @module
 */

/**
 * Writes what comes until its end, which is the process's end of file. If the
 * process closes its stdin, the sender is told to stop. If what comes is cut
 * off, the process's stdin stays open until `ended`, so that nobody can take the
 * cut for the end. `onWritten` is told of the bytes that the process was given.
 */
export async function pumpInput(
  from: ReadableStream<Uint8Array>,
  to: WritableStream<Uint8Array>,
  ended: Promise<unknown>,
  onWritten: (bytes: number) => void = () => {},
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
      const { byteLength } = chunk.value;
      await writer.write(chunk.value);
      onWritten(byteLength);
    } catch {
      reader.cancel().catch(() => {});
      return;
    }
  }
}
