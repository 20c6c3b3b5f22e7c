/**
 * A connection as an adapter gives it to core.
 *
 * @module
 */

import type { ByteReader, Duplex, TlsInfo } from "../ports.ts";
import { streamOfReader, type WatchedReader } from "./reader_stream.ts";

/** The writing side: a web stream, and what does without it. */
export interface WritableSide {
  /** To be made when it is asked for. */
  readonly writable: WritableStream<Uint8Array>;
  /** As `Duplex.writev`. */
  writev(chunks: readonly Uint8Array[]): Promise<void>;
  /** As `Duplex.end`. */
  end(): Promise<void>;
}

/**
 * Of web streams it has those that are asked for: they are most of what a
 * connection that does nothing would hold.
 */
export class LazyDuplex implements Duplex {
  declare readonly readable: ReadableStream<Uint8Array>;
  declare readonly writable: WritableStream<Uint8Array>;
  readonly peer: string;
  readonly tls: TlsInfo | undefined;
  readonly #reader: WatchedReader;
  readonly #writer: WritableSide;
  #readable: ReadableStream<Uint8Array> | null = null;

  constructor(
    peer: string,
    reader: WatchedReader,
    writer: WritableSide,
    tls?: TlsInfo,
  ) {
    // Its own, for copies of it: `{ ...duplex, readable }`. What passes the
    // streams by is not.
    Object.defineProperties(this, LazyDuplex.#streams);
    this.peer = peer;
    this.tls = tls;
    this.#reader = reader;
    this.#writer = writer;
  }

  static readonly #streams: PropertyDescriptorMap & ThisType<LazyDuplex> = {
    readable: {
      enumerable: true,
      get() {
        return this.#readable ??= streamOfReader(this.#reader);
      },
    },
    writable: {
      enumerable: true,
      get() {
        return this.#writer.writable;
      },
    },
  };

  getReader(): ByteReader {
    return this.#reader;
  }

  writev(chunks: readonly Uint8Array[]): Promise<void> {
    return this.#writer.writev(chunks);
  }

  end(): Promise<void> {
    return this.#writer.end();
  }
}
