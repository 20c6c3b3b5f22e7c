/**
 * Plays a script on a connection that has no frames, and keeps what comes back.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import type { Duplex } from "../../core/ports.ts";
import { concat } from "../support/bytes.ts";
import { settle } from "./player.ts";
import { type Deed, type Script, writesOf } from "./script.ts";

/** See the module's description. */
export class RawPlayer {
  readonly problems: string[] = [];
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #heard: Uint8Array[] = [];
  #muted = false;

  constructor(duplex: Duplex) {
    this.#reader = duplex.readable.getReader();
    this.#writer = duplex.writable.getWriter();
    for (const end of [this.#reader.closed, this.#writer.closed]) {
      end.catch(() => {});
    }
    this.#read();
  }

  /** Everything that came back so far. */
  get heard(): Uint8Array {
    return concat(this.#heard);
  }

  /** Plays it to its end. */
  async play(script: Script): Promise<void> {
    for (const write of writesOf(script)) {
      // Not awaited: the other side may have stopped reading.
      if (write instanceof Uint8Array) {
        this.#writer.write(write).catch(() => {});
      } else await this.#act(write);
    }
    await settle();
  }

  /** Takes the other side's bytes again, to their end. */
  unmute(): void {
    if (!this.#muted) return;
    this.#muted = false;
    this.#read();
  }

  /** Drops the connection. */
  async drop(): Promise<void> {
    await Promise.allSettled([this.#reader.cancel(), this.#writer.abort()]);
  }

  async #act(item: Deed): Promise<void> {
    if (item.do === "mute") this.#muted = true;
    if (item.do === "end") this.#writer.close().catch(() => {});
    await settle();
  }

  async #read(): Promise<void> {
    try {
      while (!this.#muted) {
        const { done, value } = await this.#reader.read();
        if (done) return;
        this.#heard.push(value);
      }
    } catch (error) {
      if (error instanceof LimpetError) return;
      this.problems.push(`Reading failed with ${error}`);
    }
  }
}
