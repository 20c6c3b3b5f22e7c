/**
 * Web streams over Node's, for sockets and for the pipes of a process alike.
 * Written by hand because `Readable.toWeb` copies none of the guarantees needed
 * here: no read ahead, errors of ours, the descriptor given back at once.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Readable, Writable } from "node:stream";
import {
  LazyDuplex,
  type WritableSide,
} from "../../core/adapter/lazy_duplex.ts";
import type { WatchedReader } from "../../core/adapter/reader_stream.ts";
import { type Deferred, deferred } from "../../core/deferred.ts";
import type { LimpetError } from "../../core/errors.ts";
import type { Duplex, TlsInfo } from "../../core/ports.ts";

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
  /**
   * Makes larger pieces of what comes, and of what has come to it by a way of
   * its own. Default: it comes from the stream, and as it is.
   */
  readonly gathering?: Gathering;
  /** Gets what core is over with. Default: that is for the garbage collector. */
  readonly release?: (bytes: Uint8Array) => void;
}

/** Pieces on their way to being fewer. */
export interface Gathering {
  deliverTo(deliver: (bytes: Uint8Array) => void): void;
  push(piece: Uint8Array): void;
  /** Delivers what it holds. */
  flush(): void;
}

/** Who gets what a Node stream reads. */
interface Taker {
  /** Whether somebody was waiting for it. */
  take(bytes: Uint8Array): boolean;
  end(): void;
  fail(error: LimpetError): void;
}

/**
 * A Node stream, or one that is still to come, that reads only while somebody is
 * waiting, apart from the one chunk that Node had under way.
 */
class Source<Stream extends Readable> {
  readonly #map: ErrorMap;
  readonly #reading: Reading<Stream>;
  readonly #taker: Taker;
  #flow: Flow | null = null;
  #isWanted = false;
  #isAnswered: boolean;
  #isOver = false;

  constructor(
    stream: Stream | Promise<Stream>,
    map: ErrorMap,
    reading: Reading<Stream>,
    taker: Taker,
  ) {
    this.#map = map;
    this.#reading = reading;
    this.#taker = taker;
    this.#isAnswered = reading.unanswered === undefined;
    if (stream instanceof Promise) {
      stream.then((come) => this.#attach(come)).catch((error) => {
        if (this.#isOver) return;
        this.#isOver = true;
        taker.fail(error);
      });
    } else this.#attach(stream);
  }

  /** Somebody waits for it. */
  want(): void {
    this.#isWanted = true;
    if (this.#flow?.isPaused()) this.#flow.resume();
  }

  /** Nobody ever will again. False if it had come to its end. */
  stop(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#flow?.pause();
    return true;
  }

  #attach(stream: Stream): void {
    const { flowOf, gathering } = this.#reading;
    const flow = flowOf?.(stream) ?? stream;
    this.#flow = flow;
    // Paused before there is a listener, which would start the flow. The
    // listener is there from the start, because Node drains what nobody
    // listens to when a process ends.
    flow.pause();
    stream.on("data", (chunk: Uint8Array) => {
      const bytes = plain(chunk);
      if (gathering) gathering.push(bytes);
      else this.#deliver(bytes);
    });
    gathering?.deliverTo((bytes) => this.#deliver(bytes));
    stream.on("end", () => this.#finish(null));
    // By `on`, which takes less than `once` and comes no more often.
    stream.on("error", (error) => this.#fail(error));
    stream.on("close", () => this.#fail(null));
    // One that keeps nothing to be read tells of its end when it comes.
    if (stream.readableEnded) this.#finish(null);
    if (this.#isWanted && !this.#isOver) flow.resume();
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#isOver) return;
    this.#isAnswered = true;
    // As long as somebody is waiting, no pause: the next read comes before Node's
    // next.
    if (!this.#taker.take(bytes)) this.#flow?.pause();
  }

  #fail(error: unknown): void {
    if (!this.#isOver) this.#finish(this.#map(error));
  }

  #finish(error: LimpetError | null): void {
    this.#reading.gathering?.flush();
    if (this.#isOver) return;
    this.#isOver = true;
    const known = this.#isAnswered ? error : this.#reading.unanswered!(error);
    if (known === null) this.#taker.end();
    else this.#taker.fail(known);
  }
}

/** A Node stream as a web stream, or one that is still to come. */
export function readableOf<Stream extends Readable>(
  stream: Stream | Promise<Stream>,
  map: ErrorMap,
  cancel: () => void,
  reading: Reading<Stream> = {},
): ReadableStream<Uint8Array> {
  let source: Source<Stream>;
  return new ReadableStream<Uint8Array>({
    start(controller): void {
      source = new Source(stream, map, reading, {
        take(bytes) {
          controller.enqueue(bytes);
          return (controller.desiredSize ?? 0) >= 0;
        },
        end: () => controller.close(),
        fail: (error) => controller.error(error),
      });
    },
    pull(): void {
      source.want();
    },
    cancel(): void {
      source.stop();
      cancel();
    },
  }, { highWaterMark: 0 });
}

/** What a reader has come to. */
const END = { done: true, value: undefined } as const;

/** The same without a web stream, for one who reads one chunk after the other. */
export class StreamReader<Stream extends Readable>
  implements WatchedReader, Taker {
  readonly #source: Source<Stream>;
  readonly #cancel: () => void;
  readonly #release: ((bytes: Uint8Array) => void) | undefined;
  readonly #ready: Uint8Array[] = [];
  /** What was given out last, if it is to be released. */
  #last: Uint8Array | null = null;
  #waiting: Deferred<ReadableStreamReadResult<Uint8Array>> | null = null;
  /** Null at a clean end. */
  #failure: LimpetError | null | undefined;
  /** Told if it ends, or with why it fails, while nobody reads and nothing waits. */
  #told: ((failure: LimpetError | null) => void) | null = null;

  constructor(
    stream: Stream | Promise<Stream>,
    map: ErrorMap,
    cancel: () => void,
    reading: Reading<Stream> = {},
  ) {
    this.#cancel = cancel;
    this.#release = reading.release;
    this.#source = new Source(stream, map, reading, this);
  }

  read(isOver?: boolean): Promise<ReadableStreamReadResult<Uint8Array>> {
    if (isOver && this.#last !== null) this.#release?.(this.#last);
    this.#last = null;
    const value = this.#ready.shift();
    if (value !== undefined) return Promise.resolve(this.#given(value));
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#failure === null) return Promise.resolve(END);
    this.#waiting = deferred();
    this.#source.want();
    return this.#waiting.promise;
  }

  cancel(): Promise<void> {
    // What is over is so for its reader once that has read all of it.
    if (!this.#source.stop() && this.#ready.length === 0) {
      return Promise.resolve();
    }
    this.#ready.length = 0;
    this.#failure = null;
    this.#waiting?.resolve(END);
    this.#cancel();
    return Promise.resolve();
  }

  watch(told: (failure: LimpetError | null) => void): void {
    this.#told = told;
  }

  take(value: Uint8Array): boolean {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#ready.push(value);
    else waiting.resolve(this.#given(value));
    return waiting !== null;
  }

  end(): void {
    this.#failure = null;
    if (this.#waiting) this.#waiting.resolve(END);
    else this.#tellOver();
  }

  fail(error: LimpetError): void {
    this.#failure = error;
    if (this.#waiting) this.#waiting.reject(error);
    else this.#tellOver();
  }

  #given(value: Uint8Array): ReadableStreamReadResult<Uint8Array> {
    if (this.#release) this.#last = value;
    return { done: false, value };
  }

  #tellOver(): void {
    if (this.#ready.length === 0) this.#told?.(this.#failure ?? null);
  }
}

/**
 * The writing side of a Node stream, or of one that is still to come: a web stream
 * whose writes settle when the OS has the bytes, and what does without it.
 */
export class NodeWriter implements WritableSide {
  readonly #map: ErrorMap;
  readonly #abort: () => void;
  /** Until there is one. */
  readonly #attached: Promise<void> | null = null;
  #sink: Writable | undefined;
  #failure: LimpetError | null = null;
  #reject: ((error: LimpetError) => void) | null = null;
  #controller: WritableStreamDefaultController | null = null;
  #opened: WritableStream<Uint8Array> | null = null;

  constructor(
    stream: Writable | Promise<Writable>,
    map: ErrorMap,
    abort: () => void,
  ) {
    this.#map = map;
    this.#abort = abort;
    if (stream instanceof Promise) {
      this.#attached = stream.then((come) => this.#attach(come));
      // Whoever writes hears of it.
      this.#attached.catch(() => {});
    } else this.#attach(stream);
  }

  /** Made when it is asked for: idle connections need none, and it is large. */
  get writable(): WritableStream<Uint8Array> {
    return this.#opened ??= this.#open();
  }

  /** As `Duplex.writev`. */
  writev(chunks: readonly Uint8Array[]): Promise<void> {
    const sink = this.#sink;
    if (sink === undefined) {
      return this.#attached!.then(() => this.writev(chunks));
    }
    return this.#once((done) => {
      const gathered = gather(chunks);
      if (gathered !== null) return this.#writeLast(sink, gathered, done);
      // Uncorking hands everything to one writev(2).
      sink.cork();
      const last = chunks.length - 1;
      chunks.forEach((chunk, index) => {
        if (index < last) sink.write(chunk);
        else this.#writeLast(sink, chunk, done);
      });
      sink.uncork();
      if (last < 0) done();
    });
  }

  /** As `Duplex.end`. */
  end(): Promise<void> {
    const sink = this.#sink;
    return sink === undefined
      ? this.#attached!.then(() => this.end())
      : this.#once((done) => sink.end(done));
  }

  #attach(sink: Writable): void {
    this.#sink = sink;
    sink.on("error", (error) => this.#fail(error));
    sink.on("close", () => this.#fail(null));
  }

  #fail(error: unknown): void {
    if (this.#failure !== null || this.#sink?.writableFinished) return;
    this.#failure = this.#map(error);
    this.#controller?.error(this.#failure);
    this.#reject?.(this.#failure);
  }

  /** One write or end at a time; a stream that dies in between rejects it. */
  #once(start: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      this.#reject = reject;
      start(() => {
        if (this.#failure !== null) return;
        this.#reject = null;
        resolve();
      });
    });
  }

  /** Writes the last chunk of a batch; `done` once the OS has all of it. */
  #writeLast(sink: Writable, chunk: Uint8Array, done: () => void): void {
    sink.write(chunk, (error) => {
      // A failure rejects through `error` or `close`. A destroyed socket also
      // calls back without one, for bytes that went nowhere.
      if (!error && !sink.destroyed) done();
    });
  }

  #open(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      start: (controller): void | Promise<void> => {
        this.#controller = controller;
        if (this.#failure !== null) return controller.error(this.#failure);
        // Not the method `abort`, which waits for a write that may never end.
        controller.signal.addEventListener("abort", () => {
          // The stream is being errored already: telling its controller so now
          // would be the second time, which Node's own assertions refuse.
          this.#failure ??= this.#map(null);
          this.#reject?.(this.#failure);
          this.#abort();
        });
        return this.#attached ?? undefined;
      },
      write: (chunk) =>
        this.#once((done) => this.#writeLast(this.#sink!, chunk, done)),
      close: () => this.end(),
    });
  }
}

/** What is particular to a socket. */
export interface SocketSides<Stream> {
  /** The socket, or one that is still to come. */
  readonly socket: Stream | Promise<Stream>;
  readonly peer: string;
  readonly tls?: TlsInfo;
  readonly map: ErrorMap;
  /** Nothing will come of reading any more. */
  readonly cancel: () => void;
  /** Drops the connection. */
  readonly abort: () => void;
  readonly reading?: Reading<Stream>;
}

/** A socket as a {@linkcode Duplex}. */
export function socketDuplex<Stream extends Readable & Writable>(
  { socket, peer, tls, map, cancel, abort, reading = {} }: SocketSides<Stream>,
): Duplex {
  const reader = new StreamReader(socket, map, cancel, reading);
  return new LazyDuplex(peer, reader, new NodeWriter(socket, map, abort), tls);
}

/** A batch up to this size is copied: a list of pieces takes Node longer. */
const GATHER_BYTES = 4 * 1024;

/** A small batch in one piece; null for a large one, or what is one already. */
function gather(chunks: readonly Uint8Array[]): Uint8Array | null {
  let length = 0;
  for (const chunk of chunks) length += chunk.byteLength;
  if (chunks.length < 2 || length > GATHER_BYTES) return null;
  const gathered = Buffer.allocUnsafe(length);
  let offset = 0;
  for (const chunk of chunks) {
    gathered.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return gathered;
}

/** Node's `Buffer` has a `slice` that shares memory; core expects a copy. */
function plain(chunk: Uint8Array): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
