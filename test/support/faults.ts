/**
 * Byte streams that misbehave: wrappers around any `Duplex` that deliver the
 * same bytes slowly, in other pieces, not all of them, or not any more.
 *
 * They can be put around each other: `oneByteReads(throttled(duplex, 1e6))`.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import type { Duplex } from "../../core/ports.ts";

export { pair } from "./pair.ts";

type Chunks = AsyncIterable<Uint8Array>;
type Put = (chunk: Uint8Array) => Promise<void>;
/** Loses the connection: both directions fail with `connection_lost`. */
type Drop = () => never;

/** What is done to the bytes of each direction. */
export interface Faults {
  /** What is read: gets the chunks of the stream inside. */
  reads?(chunks: Chunks, drop: Drop): Chunks;
  /** What is written: `put` writes to the stream inside. */
  writes?(chunk: Uint8Array, put: Put, drop: Drop): Promise<void>;
}

/** The wrapper that all others are made with. */
export function withFaults(inner: Duplex, faults: Faults): Duplex {
  const reader = inner.readable.getReader();
  const writer = inner.writable.getWriter();
  for (const lost of [reader.closed, writer.closed, writer.ready]) {
    lost.catch(() => {});
  }
  let failure: LimpetError | null = null;
  const drop: Drop = () => {
    failure ??= new LimpetError("connection_lost", "Connection cut by a test");
    reader.cancel(failure).catch(() => {});
    writer.abort(failure).catch(() => {});
    throw failure;
  };
  const writes = faults.writes ?? ((chunk, put) => put(chunk));
  const reads = faults.reads ?? ((chunks) => chunks);
  const put: Put = (chunk) =>
    inner.writev === undefined ? writer.write(chunk) : inner.writev([chunk]);
  const write = async (chunk: Uint8Array) => {
    if (failure !== null) throw failure;
    await writes(chunk, put, drop);
  };
  const chunks = reads(chunksOf(reader), drop)[Symbol.asyncIterator]();
  return {
    peer: inner.peer,
    readable: new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (failure !== null) throw failure;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel(reason) {
        // Not `chunks.return()`, which waits for a read that is under way.
        await reader.cancel(reason);
      },
    }, { highWaterMark: 0 }),
    writable: new WritableStream<Uint8Array>({
      start(controller) {
        controller.signal.addEventListener("abort", () => {
          writer.abort(controller.signal.reason).catch(() => {});
        });
      },
      write,
      close: () => writer.close(),
    }),
    async writev(list) {
      for (const chunk of list) await write(chunk);
    },
  };
}

async function* chunksOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function* pieces(chunk: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < chunk.byteLength; at += size) {
    yield chunk.subarray(at, at + size);
  }
}

/** At most so many bytes a second, in each direction by itself. */
export function throttled(inner: Duplex, bytesPerSecond: number): Duplex {
  const size = Math.max(1, Math.ceil(bytesPerSecond / 50));
  const pace = () => {
    let due = performance.now();
    return async (bytes: number) => {
      due = Math.max(due, performance.now()) + bytes * 1_000 / bytesPerSecond;
      const ms = due - performance.now();
      // A timer is too coarse for single bytes: sleep once it adds up.
      if (ms > 10) await new Promise((resolve) => setTimeout(resolve, ms));
    };
  };
  const up = pace();
  const down = pace();
  return withFaults(inner, {
    async *reads(chunks) {
      for await (const chunk of chunks) {
        for (const piece of pieces(chunk, size)) {
          await down(piece.byteLength);
          yield piece;
        }
      }
    },
    async writes(chunk, put) {
      for (const piece of pieces(chunk, size)) {
        await up(piece.byteLength);
        await put(piece);
      }
    },
  });
}

/** Every read gives one byte, a view of the chunk that it came in. */
export function oneByteReads(inner: Duplex): Duplex {
  const reader = inner.readable.getReader();
  let rest: Uint8Array = new Uint8Array(0);
  return {
    peer: inner.peer,
    writable: inner.writable,
    writev: inner.writev?.bind(inner),
    readable: new ReadableStream<Uint8Array>({
      // Some hundred wait in the stream at a time: still a read for each, but
      // not a round through `pull` for each, so that megabytes are feasible.
      async pull(controller) {
        while (rest.byteLength === 0) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          rest = value;
        }
        for (const byte of pieces(rest.subarray(0, 512), 1)) {
          controller.enqueue(byte);
        }
        rest = rest.subarray(512);
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 }),
  };
}

/** Reads give pieces of these sizes, one after another, round and round. */
export function fragmented(inner: Duplex, sizes: readonly number[]): Duplex {
  return withFaults(inner, {
    async *reads(chunks) {
      let turn = 0;
      for await (const chunk of chunks) {
        for (let at = 0; at < chunk.byteLength;) {
          const size = Math.max(1, sizes[turn++ % sizes.length]);
          yield chunk.subarray(at, at + size);
          at += size;
        }
      }
    },
  });
}

/** Which way the bytes go that are counted. */
export type Direction = "received" | "sent";

/**
 * After so many bytes, counted in one direction, the connection is lost: these
 * still get through, nothing after them does, in either direction. `end` ends
 * the stream cleanly instead of with an error (for `received`).
 */
export function cutAfter(
  inner: Duplex,
  bytes: number,
  direction: Direction = "received",
  how: "reset" | "end" = "reset",
): Duplex {
  let left = bytes;
  return withFaults(inner, {
    async *reads(chunks, drop) {
      if (direction === "sent") return yield* chunks;
      if (left > 0) {
        for await (const chunk of chunks) {
          const piece = chunk.subarray(0, left);
          left -= piece.byteLength;
          yield piece;
          if (left === 0) break;
        }
      }
      if (left === 0 && how === "reset") drop();
    },
    async writes(chunk, put, drop) {
      if (direction === "received") return await put(chunk);
      const piece = chunk.subarray(0, left);
      left -= piece.byteLength;
      if (piece.byteLength > 0) await put(piece);
      if (left === 0) drop();
    },
  });
}

/** After so many bytes one direction stands still, and nothing tells of it. */
export function stalledAfter(
  inner: Duplex,
  bytes: number,
  direction: Direction = "received",
): Duplex {
  let left = bytes;
  const forever = new Promise<never>(() => {});
  return withFaults(inner, {
    async *reads(chunks) {
      if (direction === "sent") return yield* chunks;
      if (left === 0) await forever;
      for await (const chunk of chunks) {
        const piece = chunk.subarray(0, left);
        left -= piece.byteLength;
        yield piece;
        if (left === 0) await forever;
      }
    },
    async writes(chunk, put) {
      if (direction === "received") return await put(chunk);
      const piece = chunk.subarray(0, left);
      left -= piece.byteLength;
      if (piece.byteLength > 0) await put(piece);
      if (piece.byteLength < chunk.byteLength) await forever;
    },
  });
}

/** The same without the gathered write, as transports of messages have it. */
export function withoutWritev(inner: Duplex): Duplex {
  const { readable, writable, peer } = inner;
  return { readable, writable, peer };
}

/** What went through a stream, byte for byte. */
export interface Recording {
  readonly sent: Uint8Array[];
  readonly received: Uint8Array[];
}

/** Copies everything that goes through into `recording`. */
export function recorded(inner: Duplex, recording: Recording): Duplex {
  return withFaults(inner, {
    async *reads(chunks) {
      for await (const chunk of chunks) {
        recording.received.push(chunk.slice());
        yield chunk;
      }
    },
    async writes(chunk, put) {
      recording.sent.push(chunk.slice());
      await put(chunk);
    },
  });
}
