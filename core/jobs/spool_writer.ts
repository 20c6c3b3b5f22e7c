/**
 * From a command's pipe into its spool: takes the calls of a channel's stream.
 *
 * @module
 */

import type { Spool } from "./spool.ts";

/** How the stream of a job ended. */
export interface StreamEnd {
  readonly heldOpen: boolean;
  /** There if what came is not all: why not. */
  readonly cut?: { readonly code: string; readonly message: string };
}

/** See the module's description. */
export class SpoolWriter {
  readonly spool: Spool;
  readonly #chunks: {
    readonly chunk: Uint8Array;
    readonly recycle?: () => void;
  }[] = [];
  /** Bytes pushed and not yet in the spool. */
  #unsaved = 0;
  #end: StreamEnd | null = null;
  #finished = false;
  #running = false;
  #waiters: { readonly below: number; readonly wake: () => void }[] = [];
  /** Told once when all of it is in the spool. */
  onFinished: (() => void) | null = null;
  /** Of a channel's stream: its reader wants no more. A spool takes everything. */
  onStop: (() => void) | null = null;

  constructor(spool: Spool) {
    this.spool = spool;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** How the stream ended; null before. */
  get outcome(): StreamEnd | null {
    return this.#finished ? this.#end : null;
  }

  push(chunk: Uint8Array, recycle?: () => void): void {
    this.#chunks.push({ chunk, recycle });
    this.#unsaved += chunk.byteLength;
    this.#run();
  }

  async whenBelow(bytes: number): Promise<void> {
    while (this.#unsaved >= bytes) {
      await new Promise<void>((wake) => {
        this.#waiters.push({ below: bytes, wake });
      });
    }
  }

  end(facts: { heldOpen?: true } = {}): void {
    this.#endWith({ heldOpen: facts.heldOpen ?? false });
  }

  abort(code: string, message: string): void {
    this.#endWith({ heldOpen: false, cut: { code, message } });
  }

  release(): void {
    // Nobody reads before the process is there.
  }

  #endWith(end: StreamEnd): void {
    this.#end ??= end;
    this.#run();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (let next; (next = this.#chunks.shift()) !== undefined;) {
      const { chunk, recycle } = next;
      await this.spool.append(chunk);
      recycle?.();
      this.#unsaved -= chunk.byteLength;
      const waiters = this.#waiters;
      this.#waiters = [];
      for (const waiter of waiters) {
        if (this.#unsaved < waiter.below) waiter.wake();
        else this.#waiters.push(waiter);
      }
    }
    this.#running = false;
    if (this.#end === null || this.#finished) return;
    this.#finished = true;
    await this.spool.end();
    this.onFinished?.();
  }
}
