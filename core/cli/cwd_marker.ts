/**
 * How `cd` lasts from one line to the next, although each line is a command of
 * its own: the shell is asked to say, at its end, where it ended up.
 *
 * @module
 */

import { quote } from "../shell.ts";
import { concat } from "../bytes.ts";
import { decodeText, type TextCodec } from "../text/mod.ts";

const SEPARATOR = 0x1e;

/** A directory's name ends somewhere; what is longer is no marker. */
const MAX_HELD_BYTES = 16_384;

/**
 * The line behind one that writes ␞nonce:directory␞ to stderr, and has a trap do
 * so again when the shell exits, whatever its code: a directory is only ever asked
 * for that a line has changed to, for there are servers where nobody may. The
 * nonce is fresh for every line, so that no command prints one by chance. (One
 * that means to can read it from its shell's arguments; all it gains is where the
 * next line starts.)
 */
export function withMarker(line: string, nonce: string): string {
  const report = `printf '\\036%s:%s\\036' ${nonce} "$PWD" >&2`;
  return `${report}; trap ${quote(report)} EXIT\n${line}\n`;
}

/** The line as somebody wrote it, for a list of commands; others as they are. */
export function withoutMarker(line: string): string {
  const [, nonce] = /^printf \S+ ([0-9a-f]+) /.exec(line) ?? [];
  if (nonce === undefined) return line;
  const before = withMarker("", nonce).slice(0, -1);
  if (!line.startsWith(before)) return line;
  return line.slice(before.length).replace(/\n$/, "");
}

/** Takes the markers out of a byte stream, wherever its chunks are cut. */
export class MarkerFilter {
  readonly #codec: TextCodec;
  readonly #start: Uint8Array;
  #held: Uint8Array = new Uint8Array(0);
  #first: string | null = null;
  #last: string | null = null;

  /** `codec` reads the directory's name. */
  constructor(nonce: string, codec: TextCodec) {
    this.#codec = codec;
    this.#start = new TextEncoder().encode(`\x1e${nonce}:`);
  }

  /** Where the shell ended up, if that is not where it began; otherwise null. */
  get changedTo(): string | null {
    return this.#last === this.#first ? null : this.#last;
  }

  /** Takes a chunk, returns what of it is to be shown now. */
  push(chunk: Uint8Array): Uint8Array {
    const bytes = this.#held.byteLength === 0
      ? chunk
      : concat([this.#held, chunk]);
    this.#held = new Uint8Array(0);
    const shown: Uint8Array[] = [];
    let from = 0;
    for (let at = 0;;) {
      at = bytes.indexOf(SEPARATOR, at);
      if (at < 0) break;
      if (!this.#mayStart(bytes, at)) {
        at++;
        continue;
      }
      const name = at + this.#start.byteLength;
      const end = bytes.indexOf(SEPARATOR, name);
      if (end < 0 && bytes.byteLength - at > MAX_HELD_BYTES) break;
      shown.push(bytes.subarray(from, at));
      if (end < 0) {
        this.#held = bytes.slice(at);
        return concat(shown);
      }
      this.#last = decodeText(bytes.subarray(name, end), this.#codec);
      this.#first ??= this.#last;
      from = at = end + 1;
    }
    if (from === 0) return bytes;
    return concat([...shown, bytes.subarray(from)]);
  }

  /** What was held back and turned out to be no marker. */
  end(): Uint8Array {
    return this.#held;
  }

  #mayStart(bytes: Uint8Array, at: number): boolean {
    const length = Math.min(this.#start.byteLength, bytes.byteLength - at);
    for (let i = 0; i < length; i++) {
      if (bytes[at + i] !== this.#start[i]) return false;
    }
    return true;
  }
}
