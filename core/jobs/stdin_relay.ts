/**
 * The stdin of a job: from whichever client feeds it at the moment.
 *
 * @module
 */

import type { ReceiveStream } from "../channel/receive_stream.ts";

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/**
 * One client at a time; a newer one takes over, for the older one may well be
 * the same that has lost its connection. A client that goes without an END leaves
 * the job's stdin open for the next one: never is a cut shown as an end of file.
 */
export class StdinRelay {
  readonly readable: ReadableStream<Uint8Array>;
  #reader: Reader | null = null;
  #waiting: (() => void) | null = null;
  #bytes = 0;
  #closed = false;
  /** As of a channel's stream; what its clients do is no end of the job. */
  onAborted: (() => void) | null = null;

  constructor() {
    this.readable = new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#close(),
    }, { highWaterMark: 0 });
  }

  /** Bytes taken from clients so far: where the next one goes on. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the job still reads. */
  get isOpen(): boolean {
    return !this.#closed;
  }

  /** From now on it comes from there; the former client is told to stop. */
  feedFrom(input: ReceiveStream): void {
    this.#reader?.cancel().catch(() => {});
    this.#reader = input.readable.getReader();
    if (this.#closed) return this.#close();
    this.#waiting?.();
  }

  /** The command has ended. */
  fail(): void {
    this.#close();
  }

  async #pull(
    controller: ReadableStreamDefaultController<Uint8Array>,
  ): Promise<void> {
    while (!this.#closed) {
      const reader = this.#reader;
      if (reader === null) {
        await new Promise<void>((resolve) => this.#waiting = resolve);
        continue;
      }
      const chunk = await reader.read().catch(() => null);
      if (chunk !== null && !chunk.done) {
        this.#bytes += chunk.value.byteLength;
        return controller.enqueue(chunk.value);
      }
      // One that was taken over from ends as well, and means nothing by it.
      if (this.#reader !== reader) continue;
      this.#reader = null;
      if (chunk !== null) return this.#end(controller);
    }
  }

  #end(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#closed = true;
    controller.close();
  }

  #close(): void {
    this.#closed = true;
    this.#reader?.cancel().catch(() => {});
    this.#reader = null;
    this.#waiting?.();
  }
}
