/**
 * A reader as the web stream that it is not.
 *
 * @module
 */

import type { LimpetError } from "../errors.ts";
import type { ByteReader } from "../ports.ts";

/** A reader that may hear of its end while nobody reads. */
export interface WatchedReader extends ByteReader {
  /** Who is to be told of an end (null) or a failure that comes then. */
  watch?(told: (failure: LimpetError | null) => void): void;
}

/** Reads only while somebody is waiting. */
export function streamOfReader(
  reader: WatchedReader,
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
      reader.watch?.((failure) => {
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
