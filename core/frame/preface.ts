/**
 * The eight bytes that come before the first frame.
 * PROTOCOL.md, "Preface", has the reasons for each of them.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";

const COMMON = [0xaf, 0x4c, 0x50, 0x54, 0x0d, 0x0a, 0x1a];

/** What a client sends first. */
export const CLIENT_PREFACE: Uint8Array = Uint8Array.of(...COMMON, 0x43);
/** What a server sends first. */
export const SERVER_PREFACE: Uint8Array = Uint8Array.of(...COMMON, 0x53);

/** So much of what was sent instead is looked at and shown, in bytes. */
export const SHOWN_BYTES = 64;

/** Whether it begins as both prefaces do, as far as it goes. */
export function beginsAsPreface(bytes: Uint8Array): boolean {
  return bytes.length > 0 &&
    COMMON.every((byte, i) => i >= bytes.length || byte === bytes[i]);
}

/** How much a transport may print before the preface, and who wants to see it. */
export interface Noise {
  /** Bytes to skip at most. */
  readonly maxBytes: number;
  /** Gets what was skipped, raw: it is the peer's and may hold anything. */
  readonly show: (bytes: Uint8Array) => void;
}

/**
 * Looks for the peer's preface at the start of its bytes, however they are cut.
 * Without `noise` the very first bytes must be the preface.
 */
export class PrefaceMatcher {
  readonly #expected: Uint8Array;
  readonly #noise: Noise | undefined;
  readonly #describe: (bytes: Uint8Array) => string;
  #matched = 0;
  #skipped = 0;

  /** `describe` says what was sent instead: `describeClient`, `describeServer`. */
  constructor(
    expected: Uint8Array,
    describe: (bytes: Uint8Array) => string,
    noise?: Noise,
  ) {
    this.#expected = expected;
    this.#describe = describe;
    this.#noise = noise;
  }

  /**
   * Takes a chunk. Returns what follows the preface once it is complete, else
   * undefined. Throws `protocol_error` when the peer speaks something else.
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    const begun = this.#matched;
    let noiseEnd = 0;
    for (let i = 0; i < chunk.byteLength; i++) {
      if (chunk[i] === this.#expected[this.#matched]) {
        this.#matched++;
        if (this.#matched < this.#expected.byteLength) continue;
        this.#show(chunk.subarray(0, noiseEnd));
        return chunk.subarray(i + 1);
      }
      if (this.#noise === undefined) throw this.#mismatch(chunk, begun);
      // The first byte stands nowhere else in the preface, so a failed match
      // can only begin anew at the byte that failed.
      if (this.#matched > i - noiseEnd) {
        this.#show(this.#expected.subarray(0, this.#matched - (i - noiseEnd)));
      }
      this.#matched = chunk[i] === this.#expected[0] ? 1 : 0;
      noiseEnd = i + 1 - this.#matched;
    }
    this.#show(chunk.subarray(0, noiseEnd));
  }

  /** What to say when the stream ends before the preface was complete. */
  ended(): LimpetError {
    const when = this.#matched || this.#skipped
      ? "within its preface"
      : "without a word";
    return new LimpetError(
      "protocol_error",
      `Peer closed the connection ${when}`,
    );
  }

  #show(bytes: Uint8Array): void {
    if (bytes.byteLength === 0 || this.#noise === undefined) return;
    this.#skipped += bytes.byteLength;
    if (this.#skipped > this.#noise.maxBytes) {
      throw new LimpetError(
        "protocol_error",
        `Peer sent ${this.#skipped} bytes without a Limpet preface, ` +
          `over the limit of ${this.#noise.maxBytes}`,
      );
    }
    this.#noise.show(bytes);
  }

  #mismatch(chunk: Uint8Array, begun: number): LimpetError {
    const start = new Uint8Array(
      begun + Math.min(chunk.byteLength, SHOWN_BYTES),
    );
    start.set(this.#expected.subarray(0, begun));
    start.set(chunk.subarray(0, start.byteLength - begun), begun);
    return new LimpetError(
      "protocol_error",
      `Peer does not speak Limpet: it sent ${this.#describe(start)}`,
    );
  }
}
