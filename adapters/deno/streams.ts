/**
 * Web streams over Deno's readers and writers, for sockets and for our own
 * stdio (Deno's own `conn.writable` cannot end its side and leave the other).
 *
 * @module
 */

import { ReadBuffer } from "../../core/adapter/read_buffer.ts";
import type { LimpetError } from "../../core/errors.ts";

/** Turns an error of Deno's into ours; null: it closed too early. */
export type ErrorMap = (error: unknown) => LimpetError;

/** A batch up to this size is made one buffer, for Deno has no writev. */
const GATHER_BYTES = 256 * 1024;

/** Up to this size the buffer is made anew: most batches are a message or two. */
const SMALL_BYTES = 4 * 1024;

/** Larger ones are shared: an idle connection has none of its own. */
const MOST_SPARE = 4;
const spare: Uint8Array[] = [];

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

/** The writing side: a web stream, and what does without it. */
export interface WritableSide {
  /** Made when it is asked for: idle connections need none, and it is large. */
  readonly writable: WritableStream<Uint8Array>;
  /** As `Duplex.writev`. */
  writev(chunks: readonly Uint8Array[]): Promise<void>;
  /** As `Duplex.end`. */
  end(): Promise<void>;
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
  let failure: LimpetError | null = null;
  let controller: WritableStreamDefaultController | null = null;

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
      failure = map(error);
      controller?.error(failure);
      throw failure;
    }
  }

  async function end(): Promise<void> {
    if (failure !== null) throw failure;
    try {
      await sink.end();
    } catch (error) {
      throw map(error);
    }
  }

  const open = (): WritableStream<Uint8Array> =>
    new WritableStream<Uint8Array>({
      start(started): void {
        controller = started;
        if (failure !== null) return started.error(failure);
        // Not the method `abort`, which waits for a write that may never end.
        started.signal.addEventListener("abort", () => {
          failure ??= map(null);
          sink.abort();
        });
      },
      write: writeAll,
      close: end,
    });

  let opened: WritableStream<Uint8Array> | undefined;
  return {
    get writable() {
      return opened ??= open();
    },
    end,
    async writev(chunks): Promise<void> {
      let length = 0;
      for (const chunk of chunks) length += chunk.byteLength;
      if (chunks.length < 2 || length > GATHER_BYTES) {
        for (const chunk of chunks) await writeAll(chunk);
        return;
      }
      const isSmall = length <= SMALL_BYTES;
      const gathered = isSmall
        ? new Uint8Array(length)
        : spare.pop() ?? new Uint8Array(GATHER_BYTES);
      let offset = 0;
      for (const chunk of chunks) {
        gathered.set(chunk, offset);
        offset += chunk.byteLength;
      }
      await writeAll(gathered.subarray(0, length));
      // Not after a failure: a write that was given up may still look at it.
      if (!isSmall && spare.length < MOST_SPARE) spare.push(gathered);
    },
  };
}
