/**
 * A reader as the web stream that it is not.
 *
 * @module
 */

import type { LimpetError } from "../errors.ts";
import type { ByteReader } from "../ports.ts";

/**
 * Reads only while somebody is waiting. `watch` gives what is to be told of an
 * end, null, or a failure that comes while nobody is.
 */
export function streamOfReader(
  reader: ByteReader,
  watch?: (told: (failure: LimpetError | null) => void) => void,
): ReadableStream<Uint8Array> {
  let isPulling = false;
  let over: LimpetError | null | undefined;
  const settle = (controller: ReadableStreamDefaultController): void => {
    // What is read already comes first.
    if (isPulling || over === undefined) return;
    if (over === null) controller.close();
    else controller.error(over);
  };
  return new ReadableStream<Uint8Array>({
    start(controller): void {
      watch?.((failure) => {
        over = failure;
        settle(controller);
      });
    },
    async pull(controller): Promise<void> {
      isPulling = true;
      const { done, value } = await reader.read();
      isPulling = false;
      if (done) return controller.close();
      controller.enqueue(value);
      settle(controller);
    },
    cancel: () => reader.cancel(),
  }, { highWaterMark: 0 });
}
