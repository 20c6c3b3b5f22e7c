/**
 * Web streams over Deno's readers and writers, for sockets and for our own
 * stdio (Deno's own `conn.writable` cannot end its side and leave the other),
 * and over the web streams that Deno has for the pipes of a process.
 *
 * @module
 */

import { ReadBuffer } from "../../core/adapter/read_buffer.ts";
import type { LimpetError } from "../../core/errors.ts";

/** Turns an error of Deno's into ours; null: it closed too early. */
export type ErrorMap = (error: unknown) => LimpetError;

/** A batch up to this size is made one buffer, for Deno has no writev. */
const GATHER_BYTES = 256 * 1024;

/** As a web stream, which reads only while somebody is waiting. */
export function readableOf(
  source: { read(buffer: Uint8Array): Promise<number | null> },
  map: ErrorMap,
  ended: () => void,
  cancel: () => void,
): ReadableStream<Uint8Array> {
  const memory = new ReadBuffer();
  return new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      const bytes = memory.next();
      let length: number | null;
      try {
        length = await source.read(bytes);
      } catch (error) {
        return controller.error(map(error));
      }
      if (length !== null) {
        return controller.enqueue(memory.take(bytes.subarray(0, length)));
      }
      controller.close();
      ended();
    },
    cancel,
  }, { highWaterMark: 0 });
}

/** The writing side: a web stream, and a gathered write. */
export interface WritableSide {
  readonly writable: WritableStream<Uint8Array>;
  /** As `Duplex.writev`. */
  writev(chunks: readonly Uint8Array[]): Promise<void>;
}

/** What {@linkcode writableOf} needs; a `Deno.Conn` has all but `end`. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
  /** Ends this side. */
  end(): Promise<void> | void;
  /** Drops everything at once; a write under way then fails. */
  abort(): void;
}

/** As a web stream whose writes settle when the OS has the bytes. */
export function writableOf(sink: Sink, map: ErrorMap): WritableSide {
  let scratch: Uint8Array | null = null;
  let failure: LimpetError | null = null;
  let fail: (error: LimpetError) => void = () => {};

  async function writeAll(bytes: Uint8Array): Promise<void> {
    if (failure !== null) throw failure;
    try {
      let rest = bytes;
      while (rest.byteLength > 0) {
        const written = await sink.write(rest);
        if (written === rest.byteLength) return;
        rest = rest.subarray(written);
      }
    } catch (error) {
      fail(map(error));
      throw failure;
    }
  }

  const writable = new WritableStream<Uint8Array>({
    start(controller): void {
      fail = (error) => {
        failure = error;
        controller.error(error);
      };
      // Not the method `abort`, which waits for a write that may never end.
      controller.signal.addEventListener("abort", () => {
        failure ??= map(null);
        sink.abort();
      });
    },
    write: writeAll,
    async close(): Promise<void> {
      try {
        await sink.end();
      } catch (error) {
        throw map(error);
      }
    },
  });

  return {
    writable,
    async writev(chunks): Promise<void> {
      let length = 0;
      for (const chunk of chunks) length += chunk.byteLength;
      if (chunks.length < 2 || length > GATHER_BYTES) {
        for (const chunk of chunks) await writeAll(chunk);
        return;
      }
      scratch ??= new Uint8Array(GATHER_BYTES);
      let offset = 0;
      for (const chunk of chunks) {
        scratch.set(chunk, offset);
        offset += chunk.byteLength;
      }
      await writeAll(scratch.subarray(0, length));
    },
  };
}

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
