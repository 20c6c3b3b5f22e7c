/**
 * Two byte streams that are each other's ends, in memory.
 *
 * @module
 */

import { deferred } from "../../core/deferred.ts";
import { LimpetError } from "../../core/errors.ts";
import type { Duplex } from "../../core/ports.ts";

/**
 * Both ends of a connection. Like a socket's, each direction holds at most
 * `capacity` bytes that nobody has read yet; a write settles once its bytes are
 * among them. A dropped end shows at the other one as `connection_lost`.
 */
export function pair(capacity = 65_536): [client: Duplex, server: Duplex] {
  const up = new Pipe(capacity);
  const down = new Pipe(capacity);
  return [end(down, up, "server"), end(up, down, "client")];
}

function end(from: Pipe, to: Pipe, peer: string): Duplex {
  return {
    readable: new ReadableStream<Uint8Array>({
      async pull(controller) {
        const chunk = await from.take();
        if (chunk === null) controller.close();
        else controller.enqueue(chunk);
      },
      cancel: () => from.fail("the reader has gone"),
    }, { highWaterMark: 0 }),
    writable: new WritableStream<Uint8Array>({
      start(controller) {
        // The method `abort` would wait for a write that may never end.
        controller.signal.addEventListener("abort", () => {
          to.fail("the writer has gone");
        });
      },
      write: (chunk) => to.put(chunk),
      close: () => to.end(),
    }),
    async writev(chunks) {
      for (const chunk of chunks) await to.put(chunk);
    },
    peer,
  };
}

/** One direction: bytes in order, bounded, until an end or a failure. */
class Pipe {
  readonly #capacity: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #failure: LimpetError | null = null;
  #changed = deferred<void>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  async put(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.byteLength > 0) {
      await this.#until(() => this.#bytes < this.#capacity);
      // Dropped between the condition and this line: nothing comes after that.
      if (this.#failure !== null) throw this.#failure;
      if (this.#ended) throw new TypeError("Write after the end");
      // A copy, as in any kernel: the writer's buffer is its own again.
      const piece = rest.slice(0, this.#capacity - this.#bytes);
      rest = rest.subarray(piece.byteLength);
      this.#chunks.push(piece);
      this.#bytes += piece.byteLength;
      this.#change();
    }
    if (this.#failure !== null) throw this.#failure;
  }

  async take(): Promise<Uint8Array | null> {
    await this.#until(() => this.#chunks.length > 0 || this.#ended);
    const chunk = this.#chunks.shift();
    // Dropped between the condition and this line: that is no clean end.
    if (chunk === undefined && this.#failure !== null) throw this.#failure;
    if (chunk === undefined) return null;
    this.#bytes -= chunk.byteLength;
    this.#change();
    return chunk;
  }

  end(): void {
    this.#ended = true;
    this.#change();
  }

  fail(reason: string): void {
    if (this.#ended && this.#chunks.length === 0) return;
    const message = `Connection lost: ${reason}`;
    this.#failure ??= new LimpetError("connection_lost", message);
    this.#chunks = [];
    this.#change();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (this.#failure === null && !condition()) await this.#changed.promise;
    if (this.#failure !== null) throw this.#failure;
  }

  #change(): void {
    const { resolve } = this.#changed;
    this.#changed = deferred();
    resolve();
  }
}
