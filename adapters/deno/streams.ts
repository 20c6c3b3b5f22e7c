/**
 * Readers and writers over Deno's own, for sockets and for our own
 * stdio (Deno's own `conn.writable` cannot end its side and leave the other).
 *
 * @module
 */

import type { WritableSide } from "../../core/adapter/lazy_duplex.ts";
import { IDLE_BYTES, ReadBuffer } from "../../core/adapter/read_buffer.ts";
import { type Deferred, deferred } from "../../core/deferred.ts";
import type { LimpetError } from "../../core/errors.ts";
import type { ByteReader } from "../../core/ports.ts";

/** A batch up to this size is made one buffer, for Deno has no writev. */
const GATHER_BYTES = 256 * 1024;

/** Up to this size the buffer is made anew: most batches are a message or two. */
const SMALL_BYTES = 4 * 1024;

/** Larger ones are shared: an idle connection has none of its own. */
const MOST_SPARE = 4;
const spare: Uint8Array[] = [];

/** What there is at the end. */
const END = { done: true, value: undefined } as const;

/** What both sides ask of whom they belong to. */
interface Owner {
  /** Turns an error of Deno's into ours; null: it closed too early. */
  explain(error: unknown): LimpetError;
}

/** What a {@linkcode SourceReader} needs. */
export interface Source extends Owner {
  read(buffer: Uint8Array): Promise<number | null>;
  /** Called once, when nothing more will be read, but for a failure. */
  over(): void;
}

/** Reads only while somebody is waiting. */
export class SourceReader implements ByteReader {
  readonly #source: Source;
  readonly #memory = new ReadBuffer(IDLE_BYTES);
  #waiting: Deferred<ReadableStreamReadResult<Uint8Array>> | null = null;
  #last: Uint8Array<ArrayBuffer> | null = null;
  /** Null at an end without one. */
  #failure: LimpetError | null | undefined;

  constructor(source: Source) {
    this.#source = source;
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
      this.#failure = this.#source.explain(error);
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
    this.#source.over();
  }
}

/** What a {@linkcode SinkWriter} needs. */
export interface Sink extends Owner {
  write(bytes: Uint8Array): Promise<number>;
  /** Ends this side. */
  end(): Promise<void> | void;
  /** Drops everything at once; a write under way then fails. */
  abort(): void;
}

/** Writes that settle when the OS has the bytes. */
export class SinkWriter implements WritableSide {
  readonly #sink: Sink;
  #failure: LimpetError | null = null;
  #controller: WritableStreamDefaultController | null = null;
  #opened: WritableStream<Uint8Array> | null = null;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#opened ??= this.#open();
  }

  async writev(chunks: readonly Uint8Array[]): Promise<void> {
    let length = 0;
    for (const chunk of chunks) length += chunk.byteLength;
    if (chunks.length < 2 || length > GATHER_BYTES) {
      for (const chunk of chunks) await this.#write(chunk);
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
    await this.#write(gathered.subarray(0, length));
    // Not after a failure: a write that was given up may still look at it.
    if (!isSmall && spare.length < MOST_SPARE) spare.push(gathered);
  }

  async end(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    try {
      await this.#sink.end();
    } catch (error) {
      throw this.#sink.explain(error);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    try {
      await writeAll(this.#sink, bytes);
    } catch (error) {
      this.#failure = this.#sink.explain(error);
      this.#controller?.error(this.#failure);
      throw this.#failure;
    }
  }

  #open(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      start: (controller): void => {
        this.#controller = controller;
        if (this.#failure !== null) return controller.error(this.#failure);
        // Not the method `abort`, which waits for a write that may never end.
        controller.signal.addEventListener("abort", () => {
          this.#failure ??= this.#sink.explain(null);
          this.#sink.abort();
        });
      },
      write: (bytes) => this.#write(bytes),
      close: () => this.end(),
    });
  }
}

async function writeAll(sink: Sink, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.byteLength > 0;) {
    rest = rest.subarray(await sink.write(rest));
  }
}
