/**
 * Web streams over Node's, for sockets and for the pipes of a process alike.
 * Written by hand because `Readable.toWeb` copies none of the guarantees needed
 * here: no read ahead, errors of ours, the descriptor given back at once.
 *
 * @module
 */

import type { Readable, Writable } from "node:stream";
import type { LimpetError } from "../../core/errors.ts";

/** Turns the error of a Node stream into ours; null: it closed too early. */
export type ErrorMap = (error: unknown) => LimpetError;

/** What holds a stream up, if it is not the stream's own methods. */
export type Flow = Pick<Readable, "isPaused"> & {
  pause(): void;
  resume(): void;
};

/** What is special about a stream. */
export interface Reading<Source> {
  readonly flowOf?: (source: Source) => Flow;
  /**
   * What it means that it ends before a byte has come, by itself (null) or by
   * that error. Default: a clean end, and the error.
   */
  readonly unanswered?: (error: LimpetError | null) => LimpetError;
  /** Delivers what comes in larger pieces. Default: as it comes. */
  readonly gather?: (deliver: (bytes: Uint8Array) => void) => Gathering;
}

/** Pieces on their way to being fewer. */
export interface Gathering {
  push(piece: Uint8Array): void;
  /** Delivers what it holds. */
  flush(): void;
}

/**
 * A Node stream as a web stream, or one that is still to come. Reads only while
 * somebody is waiting, apart from the one chunk that Node had under way.
 */
export function readableOf<Source extends Readable>(
  source: Source | Promise<Source>,
  map: ErrorMap,
  cancel: () => void,
  { flowOf = (source) => source, unanswered, gather }: Reading<Source> = {},
): ReadableStream<Uint8Array> {
  let over = false;
  let isAnswered = unanswered === undefined;
  let flow: Flow;
  return new ReadableStream<Uint8Array>({
    start(controller): void | Promise<void> {
      const attach = (source: Source): void => {
        flow = flowOf(source);
        // Paused before there is a listener, which would start the flow. The
        // listener is there from the start, because Node drains what nobody
        // listens to when a process ends.
        flow.pause();
        const deliver = (bytes: Uint8Array): void => {
          if (over) return;
          controller.enqueue(bytes);
          // Nobody was waiting for it. As long as somebody is, no pause: the
          // next read comes before Node's next.
          if ((controller.desiredSize ?? 0) < 0) flow.pause();
        };
        const gathering = gather?.(deliver);
        source.on("data", (chunk: Uint8Array) => {
          isAnswered = true;
          if (gathering) gathering.push(plain(chunk));
          else deliver(plain(chunk));
        });
        source.once("end", () => {
          gathering?.flush();
          if (over) return;
          over = true;
          if (isAnswered) controller.close();
          else controller.error(unanswered!(null));
        });
        const fail = (error: unknown): void => {
          gathering?.flush();
          if (over) return;
          over = true;
          const known = map(error);
          controller.error(isAnswered ? known : unanswered!(known));
        };
        source.on("error", fail);
        source.once("close", () => fail(null));
      };
      return source instanceof Promise ? source.then(attach) : attach(source);
    },
    pull(): void {
      if (flow.isPaused()) flow.resume();
    },
    cancel(): void {
      over = true;
      flow?.pause();
      cancel();
    },
  }, { highWaterMark: 0 });
}

/** The writing side of a Node stream: a web stream, and what does without it. */
export interface WritableSide {
  /** Made when it is asked for: idle connections need none, and it is large. */
  readonly writable: WritableStream<Uint8Array>;
  /** As `Duplex.writev`. */
  writev(chunks: readonly Uint8Array[]): Promise<void>;
  /** As `Duplex.end`. */
  end(): Promise<void>;
}

/**
 * A Node stream, or one that is still to come, as a web stream whose writes
 * settle when the OS has the bytes.
 */
export function writableOf(
  stream: Writable | Promise<Writable>,
  map: ErrorMap,
  abort: () => void,
): WritableSide {
  let sink: Writable;
  let failure: LimpetError | null = null;
  let reject: ((error: LimpetError) => void) | null = null;

  /** One write or end at a time; a stream that dies in between rejects it. */
  function once(start: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, onError) => {
      if (failure !== null) return onError(failure);
      reject = onError;
      start(() => {
        if (failure !== null) return;
        reject = null;
        resolve();
      });
    });
  }

  /** Writes the last chunk of a batch; `done` once the OS has all of it. */
  function writeLast(chunk: Uint8Array, done: () => void): void {
    sink.write(chunk, (error) => {
      // A failure rejects through `error` or `close`. A destroyed socket also
      // calls back without one, for bytes that went nowhere.
      if (!error && !sink.destroyed) done();
    });
  }

  let controller: WritableStreamDefaultController | null = null;
  const attach = (stream: Writable): void => {
    sink = stream;
    const fail = (error: unknown): void => {
      if (failure !== null || sink.writableFinished) return;
      failure = map(error);
      controller?.error(failure);
      reject?.(failure);
    };
    sink.on("error", fail);
    sink.once("close", () => fail(null));
  };
  const attached = stream instanceof Promise
    ? stream.then(attach)
    : attach(stream);
  // Whoever writes hears of it.
  attached?.catch(() => {});

  const open = (): WritableStream<Uint8Array> =>
    new WritableStream<Uint8Array>({
      start(started): void | Promise<void> {
        controller = started;
        if (failure !== null) return started.error(failure);
        // Not the method `abort`, which waits for a write that may never end.
        started.signal.addEventListener("abort", () => {
          // The stream is being errored already: telling its controller so now
          // would be the second time, which Node's own assertions refuse.
          failure ??= map(null);
          reject?.(failure);
          abort();
        });
        return attached;
      },
      write(chunk): Promise<void> {
        return once((done) => writeLast(chunk, done));
      },
      close: end,
    });

  function end(): Promise<void> {
    return once((done) => sink.end(done));
  }

  function writev(chunks: readonly Uint8Array[]): Promise<void> {
    return once((done) => {
      // Uncorking hands everything to one writev(2).
      sink.cork();
      const last = chunks.length - 1;
      chunks.forEach((chunk, index) => {
        if (index < last) sink.write(chunk);
        else writeLast(chunk, done);
      });
      sink.uncork();
      if (last < 0) done();
    });
  }

  let opened: WritableStream<Uint8Array> | undefined;
  return {
    get writable() {
      return opened ??= open();
    },
    writev: (chunks) =>
      stream instanceof Promise
        ? stream.then(() => writev(chunks))
        : writev(chunks),
    end: () => stream instanceof Promise ? stream.then(end) : end(),
  };
}

/** Node's `Buffer` has a `slice` that shares memory; core expects a copy. */
function plain(chunk: Uint8Array): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
