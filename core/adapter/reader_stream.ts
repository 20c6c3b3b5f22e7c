/**
 * A reader as the web stream that it is not.
 *
 * @module
 */

import type { ByteReader } from "../ports.ts";

/** Reads only while somebody is waiting. */
export function streamOfReader(reader: ByteReader): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => reader.cancel(),
  }, { highWaterMark: 0 });
}
