/**
 * Where a raw server's commands write: stdout goes out as it comes, stderr is
 * kept until stdout is over.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import type { OutputSink } from "../exec/output_pump.ts";

/** Stdout: what comes is sent. */
export class SentOutput implements OutputSink {
  /** Of a channel's stream: its reader wants no more. A raw client cannot say so. */
  onStop: (() => void) | null = null;
  readonly #send: (bytes: Uint8Array) => Promise<void>;
  readonly #done = deferred<void>();
  #pending = 0;
  #ended = false;
  #stopped = false;
  #moved: () => void = () => {};

  /** `send` rejects once nobody is left to send to. */
  constructor(send: (bytes: Uint8Array) => Promise<void>) {
    this.#send = send;
  }

  /** Settles when all of it is sent, or nothing more can be. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  push(chunk: Uint8Array, recycle?: () => void): void {
    if (this.#stopped) return;
    this.#pending += chunk.byteLength;
    this.#send(chunk).then(() => {
      recycle?.();
      this.#pending -= chunk.byteLength;
      this.#settle();
    }, () => this.stop());
  }

  async whenBelow(bytes: number): Promise<void> {
    while (this.#pending >= bytes && !this.#stopped) {
      await new Promise<void>((resolve) => this.#moved = resolve);
    }
  }

  end(): void {
    this.#ended = true;
    this.#settle();
  }

  abort(): void {
    this.end();
  }

  /**
   * Nobody is left to send to: what comes is dropped. The pipe stays open, for
   * the command is told to end, and may say so.
   */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#settle();
  }

  #settle(): void {
    this.#moved();
    if (this.#stopped || (this.#ended && this.#pending === 0)) {
      this.#done.resolve();
    }
  }
}

/** Stderr: what comes is kept, up to a bound. */
export class KeptOutput implements OutputSink {
  onStop: (() => void) | null = null;
  readonly chunks: Uint8Array[] = [];
  readonly #maxBytes: number;
  readonly #onFull: () => void;
  readonly #done = deferred<void>();
  #length = 0;

  /** `onFull` is called when there is more than `maxBytes`. */
  constructor(maxBytes: number, onFull: () => void) {
    this.#maxBytes = maxBytes;
    this.#onFull = onFull;
  }

  /** Settles when no more comes. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  push(chunk: Uint8Array): void {
    const room = this.#maxBytes - this.#length;
    if (room > 0) this.chunks.push(chunk.subarray(0, room));
    this.#length += chunk.byteLength;
    if (chunk.byteLength <= room) return;
    this.onStop?.();
    this.#onFull();
  }

  whenBelow(): Promise<void> {
    return Promise.resolve();
  }

  end(): void {
    this.#done.resolve();
  }

  abort(): void {
    this.end();
  }
}
