/**
 * The pipes of a subprocess: web streams over those that Deno has for them.
 *
 * @module
 */

import { ReadBuffer } from "../../core/adapter/read_buffer.ts";
import type { LimpetError } from "../../core/errors.ts";

/** Turns an error of Deno's into ours; null: it closed too early. */
export type ErrorMap = (error: unknown) => LimpetError;

/**
 * An output pipe. Cancelling it closes our end at once, also under a read.
 *
 * Deno's stream by itself would give each chunk 64 KiB of memory, be it one
 * byte; with buffers of ours a small chunk costs a small copy.
 */
export function passOn(
  pipe: ReadableStream<Uint8Array>,
  map: ErrorMap,
): ReadableStream<Uint8Array> {
  const reader = pipe.getReader({ mode: "byob" });
  const memory = new ReadBuffer();
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      try {
        const { done, value } = await reader.read(memory.next());
        if (done) controller.close();
        else controller.enqueue(memory.take(value));
      } catch (error) {
        controller.error(map(error));
      }
    },
    cancel(reason): Promise<void> {
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

/**
 * The input pipe. A write under way fails as soon as the stream is aborted, but
 * Deno keeps the descriptor until the process has read on, closed it or ended.
 */
export function writableOver(
  pipe: WritableStream<Uint8Array>,
  map: ErrorMap,
): WritableStream<Uint8Array> {
  const writer = pipe.getWriter();
  // Whatever goes wrong shows in a write or in the end of the stream.
  writer.closed.catch(() => {});
  writer.ready.catch(() => {});
  let fail: ((reason: LimpetError) => void) | null = null;
  return new WritableStream<Uint8Array>({
    start({ signal }): void {
      signal.addEventListener("abort", () => {
        writer.abort(signal.reason).catch(() => {});
        // The stream is in the middle of its own work: let it finish that.
        queueMicrotask(() => fail?.(map(null)));
      });
    },
    write(chunk): Promise<void> {
      return new Promise((resolve, reject) => {
        fail = reject;
        writer.write(chunk).then(resolve, (error) => reject(map(error)));
      });
    },
    async close(): Promise<void> {
      try {
        await writer.close();
      } catch (error) {
        throw map(error);
      }
    },
  });
}
