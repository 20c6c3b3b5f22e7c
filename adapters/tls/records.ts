/**
 * What was decrypted, in larger pieces: Node hands out each TLS record for
 * itself, and what a piece costs on its way does not depend on its size.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { OnReadOpts } from "node:net";

/** Bytes in a record that is full: more may follow at once. RFC 8446, 5.1. */
const RECORD_BYTES = 16_384;

/** As much as Node reads from a socket at a time. */
const MOST_BYTES = 65_536;

/** Where a record may land: whoever is called back has copied it by then. */
const LANDING = new Uint8Array(RECORD_BYTES);

/**
 * Joins full records that come in one turn of the event loop. One that is not
 * full is the end of what was sent, and held up by nothing.
 */
export class Records {
  #deliver: ((bytes: Uint8Array) => void) | null = null;
  /** What came before there was anybody to take it. */
  #early: Uint8Array[] | null = null;
  #block: Uint8Array | null = null;
  /** So many of the block's bytes are held. */
  #bytes = 0;

  /**
   * What to connect with so that records come here by themselves, past Node's
   * streams: they take twice the time of all the rest.
   */
  landing(): { onread: OnReadOpts } {
    const callback = (length: number): boolean => {
      const record = LANDING.subarray(0, length);
      // A full one is copied by `push`.
      this.push(length === RECORD_BYTES ? record : record.slice());
      return true;
    };
    return { onread: { buffer: LANDING, callback } };
  }

  /** Hands over what comes, beginning with what has come. */
  deliverTo(deliver: (bytes: Uint8Array) => void): void {
    this.#deliver = deliver;
    const early = this.#early;
    this.#early = null;
    early?.forEach(deliver);
  }

  /** Of a full one a copy is taken; another may be delivered as it is. */
  push(record: Uint8Array): void {
    const { byteLength } = record;
    if (byteLength > MOST_BYTES - this.#bytes) this.flush();
    if (byteLength !== RECORD_BYTES && this.#bytes === 0) {
      this.#emit(record);
      return;
    }
    // Not zeroed first, as it is filled.
    this.#block ??= new Uint8Array(
      Buffer.allocUnsafeSlow(MOST_BYTES).buffer,
    );
    this.#block.set(record, this.#bytes);
    this.#bytes += byteLength;
    if (byteLength !== RECORD_BYTES || this.#bytes === MOST_BYTES) {
      this.flush();
    } else if (this.#bytes === RECORD_BYTES) {
      // Comes when all that was there to be read has been.
      setImmediate(() => this.flush());
    }
  }

  /** Delivers what is held, before anything else is told. */
  flush(): void {
    const bytes = this.#bytes;
    if (bytes === 0) return;
    this.#bytes = 0;
    const block = this.#block!;
    // Who keeps a piece keeps no more than twice as much memory.
    if (bytes < MOST_BYTES / 2) return this.#emit(block.slice(0, bytes));
    this.#block = null;
    this.#emit(block.subarray(0, bytes));
  }

  #emit(bytes: Uint8Array): void {
    if (this.#deliver !== null) this.#deliver(bytes);
    else (this.#early ??= []).push(bytes);
  }
}
