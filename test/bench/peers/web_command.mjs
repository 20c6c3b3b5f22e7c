/**
 * A command whose ends are web streams: Limpet's own, and Deno's.
 *
 * @module
 */

import { CHUNK } from "./node_command.mjs";

/**
 * @param {() => ReadableStream<Uint8Array>} output
 * @param {() => WritableStream<Uint8Array>} input
 * @param {Promise<number | null>} exit
 * @param {() => void} kill
 * @returns {import("./node_command.mjs").Command}
 */
export function webCommand(output, input, exit, kill) {
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  let reader;
  /** @type {WritableStreamDefaultWriter<Uint8Array> | undefined} */
  let writer;
  return {
    exit,
    kill,
    async drain() {
      reader ??= output().getReader();
      let bytes = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return bytes;
        bytes += value.length;
      }
    },
    async feed(bytes) {
      writer ??= input().getWriter();
      for (let left = bytes; left > 0; left -= CHUNK.length) {
        await writer.ready;
        // Only the last write's failure matters: it is that of all.
        writer.write(CHUNK.subarray(0, Math.min(left, CHUNK.length)))
          .catch(() => {});
      }
      await writer.close();
    },
    async send(chunk) {
      writer ??= input().getWriter();
      await writer.write(chunk);
    },
    async next() {
      reader ??= output().getReader();
      return (await reader.read()).value?.length ?? 0;
    },
  };
}
