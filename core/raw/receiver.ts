/**
 * `recv(n)` as programs know it from sockets: some of the bytes that are there.
 *
 * @module
 */

import { asLimpetError, type LimpetError } from "../errors.ts";

/** What both of the lesson's programs ask for at a time, in bytes. */
export const RECV_BYTES = 1_024;

/** Bytes read ahead of `recv`, at most one chunk more; as a kernel's buffer. */
const READ_AHEAD_BYTES = 65_536;

/**
 * Reads a byte stream in pieces of a size that the reader chooses. It reads
 * ahead, so that the end of the stream shows while nobody waits for bytes; what
 * came meanwhile lies in one buffer, and the boundaries between what the peer
 * sent are gone, as they are in a kernel's.
 */
export class Receiver {
  /**
   * Settles when the peer's side is over: null after a clean end, else why it
   * broke off. What had come before can still be taken. Never rejects.
   */
  readonly ended: Promise<LimpetError | null>;
  /** Called when it has read ahead as far as it does: see `isFull`. */
  onFull: () => void = () => {};
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #chunks: Uint8Array[] = [];
  #length = 0;
  /** Undefined while more may come. */
  #end: LimpetError | null | undefined;
  #arrived: () => void = () => {};
  #taken: () => void = () => {};

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader();
    this.#reader.closed.catch(() => {});
    this.ended = this.#run();
  }

  /** Bytes that are there. */
  get available(): number {
    return this.#length;
  }

  /** Whether it reads no further, so that the peer's end would not show. */
  get isFull(): boolean {
    return this.#length >= READ_AHEAD_BYTES && this.#end === undefined;
  }

  /**
   * At most `max` bytes of what is there; waits for some if there are none. Null
   * at the end. Rejects with `connection_lost`, and with the signal's reason if
   * that fires first: nothing is lost then, the bytes are there for the next
   * call. One call at a time.
   */
  async recv(max: number, signal?: AbortSignal): Promise<Uint8Array | null> {
    while (this.#length === 0) {
      if (this.#end === null) return null;
      if (this.#end !== undefined) throw this.#end;
      signal?.throwIfAborted();
      await this.#change(signal);
    }
    return this.#take(max);
  }

  /** At most `max` bytes of what is there, which stay there. */
  peek(max: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(max, this.#length));
    let filled = 0;
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(0, bytes.byteLength - filled);
      bytes.set(part, filled);
      filled += part.byteLength;
    }
    return bytes;
  }

  /**
   * Waits until there are more than `length` bytes. False if the peer's side is
   * over before, or the signal fires. Not while a `recv` is pending.
   */
  async hasMoreThan(length: number, signal?: AbortSignal): Promise<boolean> {
    while (this.#length <= length) {
      if (this.#end !== undefined || signal?.aborted) return false;
      await this.#change(signal);
    }
    return true;
  }

  /** Reads no more: for a reader who has enough. */
  cancel(): void {
    this.#reader.cancel().catch(() => {});
    this.#taken();
  }

  /** Settles when bytes have come, or the end, or the signal fires. */
  async #change(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        signal?.removeEventListener("abort", done);
        resolve();
      };
      this.#arrived = done;
      signal?.addEventListener("abort", done);
    });
  }

  async #run(): Promise<LimpetError | null> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) return this.#finish(null);
        if (value.byteLength === 0) continue;
        this.#chunks.push(value);
        this.#length += value.byteLength;
        this.#arrived();
        if (!this.isFull) continue;
        this.onFull();
        await new Promise<void>((resolve) => this.#taken = resolve);
      }
    } catch (error) {
      const lost = asLimpetError(error, "connection_lost", "Connection lost");
      return this.#finish(lost);
    }
  }

  #finish(end: LimpetError | null): LimpetError | null {
    this.#end = end;
    this.#arrived();
    return end;
  }

  #take(max: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(max, this.#length));
    let filled = 0;
    let used = 0;
    while (filled < bytes.byteLength) {
      const chunk = this.#chunks[used];
      const part = chunk.subarray(0, bytes.byteLength - filled);
      bytes.set(part, filled);
      filled += part.byteLength;
      if (part.byteLength === chunk.byteLength) used++;
      else this.#chunks[used] = chunk.subarray(part.byteLength);
    }
    this.#chunks.splice(0, used);
    this.#length -= bytes.byteLength;
    if (!this.isFull) this.#taken();
    return bytes;
  }
}
