/**
 * Readers and web streams over Deno's own, for sockets and for our own
 * stdio (Deno's own `conn.writable` cannot end its side and leave the other).
 *
 * @module
 */

import { ReadBuffer } from "../../core/adapter/read_buffer.ts";
import { type Deferred, deferred } from "../../core/deferred.ts";
import type { LimpetError } from "../../core/errors.ts";
import type { ByteReader } from "../../core/ports.ts";

/** Turns an error of Deno's into ours; null: it closed too early. */
export type ErrorMap = (error: unknown) => LimpetError;

/** A batch up to this size is made one buffer, for Deno has no writev. */
const GATHER_BYTES = 256 * 1024;

/** Up to this size the buffer is made anew: most batches are a message or two. */
const SMALL_BYTES = 4 * 1024;

/** Larger ones are shared: an idle connection has none of its own. */
const MOST_SPARE = 4;
const spare: Uint8Array[] = [];

/** What there is at the end. */
const END = { done: true, value: undefined } as const;

/** Reads only while somebody is waiting. */
export class SourceReader implements ByteReader {
  readonly #source: { read(buffer: Uint8Array): Promise<number | null> };
  readonly #map: ErrorMap;
  /** Called once, when nothing more will be read, but for a failure. */
  readonly #over: () => void;
  readonly #memory = new ReadBuffer();
  #waiting: Deferred<ReadableStreamReadResult<Uint8Array>> | null = null;
  #last: Uint8Array<ArrayBuffer> | null = null;
  /** Null at an end without one. */
  #failure: LimpetError | null | undefined;

  constructor(
    source: { read(buffer: Uint8Array): Promise<number | null> },
    map: ErrorMap,
    over: () => void,
  ) {
    this.#source = source;
    this.#map = map;
    this.#over = over;
  }

  read(isOver?: boolean): Promise<ReadableStreamReadResult<Uint8Array>> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#failure === null) return Promise.resolve(END);
    const waiting = deferred<ReadableStreamReadResult<Uint8Array>>();
    this.#waiting = waiting;
    if (isOver && this.#last !== null) this.#memory.again(this.#last);
    this.#last = null;
    const bytes = this.#memory.next();
    this.#source.read(bytes).then((length) => {
      if (this.#failure !== undefined) return;
      if (length === null) return this.#end();
      this.#waiting = null;
      const value = this.#memory.take(bytes.subarray(0, length));
      this.#last = value;
      waiting.resolve({ done: false, value });
    }, (error) => {
      if (this.#failure !== undefined) return;
      this.#failure = this.#map(error);
      waiting.reject(this.#failure);
    });
    return waiting.promise;
  }

  cancel(): Promise<void> {
    if (this.#failure === undefined) this.#end();
    return Promise.resolve();
  }

  #end(): void {
    this.#failure = null;
    this.#waiting?.resolve(END);
    this.#over();
  }
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
