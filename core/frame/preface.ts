/**
 * The eight bytes that come before the first frame.
 * PROTOCOL.md, "Preface", has the reasons for each of them.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";

const COMMON = [0xaf, 0x4c, 0x50, 0x54, 0x0d, 0x0a, 0x1a];

/** What a client sends first. */
export const CLIENT_PREFACE: Uint8Array = Uint8Array.of(...COMMON, 0x43);
/** What a server sends first. */
export const SERVER_PREFACE: Uint8Array = Uint8Array.of(...COMMON, 0x53);

/** So much of what was sent instead is looked at and shown, in bytes. */
const SHOWN_BYTES = 64;

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
  #matched = 0;
  #skipped = 0;

  constructor(expected: Uint8Array, noise?: Noise) {
    this.#expected = expected;
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
    return new LimpetError(
      "protocol_error",
      this.#matched + this.#skipped === 0
        ? "Peer closed the connection without a word"
        : "Peer closed the connection before the end of its preface",
    );
  }

  #show(bytes: Uint8Array): void {
    if (bytes.byteLength === 0 || this.#noise === undefined) return;
    this.#skipped += bytes.byteLength;
    if (this.#skipped > this.#noise.maxBytes) {
      throw new LimpetError(
        "protocol_error",
        `Peer sent ${this.#skipped} bytes without a Limpet preface among ` +
          `them, over the limit of ${this.#noise.maxBytes}`,
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
      `Peer does not speak Limpet: it sent ${
        describe(start, this.#expected === SERVER_PREFACE)
      }`,
    );
  }
}

/** Names the protocols that knock on a port by mistake; null if it is none. */
export function recognise(bytes: Uint8Array): string | null {
  const text = String.fromCharCode(...bytes.subarray(0, SHOWN_BYTES));
  if (
    /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PRI) /.test(text)
  ) {
    return "an HTTP request";
  }
  if (text.startsWith("HTTP/")) return "an HTTP response";
  if (text.startsWith("SSH-")) return "an ssh banner";
  if (bytes[0] === 0x16 && (bytes.length < 2 || bytes[1] === 0x03)) {
    return "a TLS handshake";
  }
  if (bytes[0] === 0x15 && bytes[1] === 0x03) {
    return "a TLS alert. A server that speaks TLS is tls://host:port";
  }
  return null;
}

/** Whether it begins as both prefaces do, as far as it goes. */
export function beginsAsPreface(bytes: Uint8Array): boolean {
  return bytes.length > 0 &&
    COMMON.every((byte, i) => i >= bytes.length || byte === bytes[i]);
}

function describe(bytes: Uint8Array, fromServer: boolean): string {
  const known = recognise(bytes);
  if (known !== null) return known;
  if (bytes.length >= 8 && beginsAsPreface(bytes)) {
    return "the preface of the role that this side has itself";
  }
  const hint = fromServer
    ? "raw://HOST:PORT is for a server that answers plain text"
    : "limpet serve --raw is for clients that send plain lines";
  return `${quote(bytes)}. ${hint}`;
}

/** What is text as text, anything else in hexadecimal. */
function quote(bytes: Uint8Array): string {
  // The last character may have been cut, by us or on the way.
  let text = new TextDecoder().decode(bytes).replace(/\ufffd$/, "");
  // Whole lines, if we had to stop somewhere and there is one.
  const end = text.lastIndexOf("\n") + 1;
  if (bytes.byteLength >= SHOWN_BYTES && end > 0) text = text.slice(0, end);
  // deno-lint-ignore no-control-regex -- control characters are no text
  if (text !== "" && !/[\ufffd\x00-\x08\x0e-\x1a\x7f]/.test(text)) {
    return `the text ${printable(JSON.stringify(text))}`;
  }
  const hex = Array.from(
    bytes.subarray(0, 16),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return `the bytes ${hex.join(" ")}`;
}
