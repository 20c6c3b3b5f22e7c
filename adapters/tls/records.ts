/**
 * What was decrypted, in larger pieces: Node hands out each TLS record for
 * itself, and what a piece costs on its way does not depend on its size.
 *
 * @module
 */

import { concat } from "../../core/bytes.ts";

/** Bytes in a record that is full: more may follow at once. RFC 8446, 5.1. */
const RECORD_BYTES = 16_384;

/** As much as Node reads from a socket at a time. */
const MOST_BYTES = 65_536;

/**
 * Joins full records that come in one turn of the event loop. One that is not
 * full is the end of what was sent, and held up by nothing.
 */
export class Records {
  readonly #deliver: (bytes: Uint8Array) => void;
  #held: Uint8Array[] = [];
  #bytes = 0;

  constructor(deliver: (bytes: Uint8Array) => void) {
    this.#deliver = deliver;
  }

  push(record: Uint8Array): void {
    this.#held.push(record);
    this.#bytes += record.byteLength;
    if (record.byteLength !== RECORD_BYTES || this.#bytes >= MOST_BYTES) {
      this.flush();
    } else if (this.#held.length === 1) {
      // Comes when all that was there to be read has been.
      setImmediate(() => this.flush());
    }
  }

  /** Delivers what is held, before anything else is told. */
  flush(): void {
    const held = this.#held;
    if (held.length === 0) return;
    this.#held = [];
    this.#bytes = 0;
    this.#deliver(held.length === 1 ? held[0] : concat(held));
  }
}
