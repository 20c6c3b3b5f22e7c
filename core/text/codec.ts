/**
 * Encodings by name: the platform's `TextDecoder` first, and what it lacks from
 * whoever supplies it (`limpet/iconv`).
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { printable } from "../printable.ts";
import { COMMON_NAMES, standardName } from "./names.ts";
import { nativeReader, type TextReader } from "./native.ts";
import { gb18030UnitAt, unitReader } from "./units.ts";

export type { TextReader };

/** Text to bytes, piece by piece. What the encoding lacks becomes `?`. */
export interface TextWriter {
  write(text: string): Uint8Array;
  end(): Uint8Array;
}

/** One encoding, both ways. */
export interface TextCodec {
  /** Lower case: the WHATWG's name, or else the one that iconv-lite has. */
  readonly name: string;
  /** A byte-order mark at the beginning is taken off. */
  reader(): TextReader;
  /** Null where only reading is known here. No byte-order mark is added. */
  writer(): TextWriter | null;
}

/** A supply of encodings; `limpet/iconv` has one. */
export interface Encodings {
  /** Null for a name it does not know. Spelling and case are lenient. */
  find(label: string): TextCodec | null;
  /** The names it knows, for a hint. */
  readonly names: readonly string[];
}

/**
 * The encoding of that name. `more` knows what `TextDecoder` does not, and how
 * to write what `TextDecoder` can only read.
 *
 * @throws {LimpetError} `invalid_argument`, with the nearest known names.
 */
export function findCodec(label: string, more?: Encodings): TextCodec {
  // Types are gone at run time.
  if (typeof label !== "string") {
    throw new LimpetError(
      "invalid_argument",
      `The name of an encoding is a string, not ${typeof label}`,
    );
  }
  const other = more?.find(label) ?? null;
  // A name that only they know may still mean what TextDecoder can read.
  const name = standardName(label) ?? standardName(other?.name ?? label);
  if (name === "utf-8") return UTF_8;
  if (name === null) return other ?? unknown(label, more);
  const same = () => more?.find(name) ?? null;
  return {
    name,
    reader: () => readerOf(name, same),
    writer: () => same()?.writer() ?? null,
  };
}

/**
 * Where ICU's decoders, which Node has, part from the standard. `limpet/iconv`
 * puts them right; without it they are as they are.
 */
const ICU_DIFFERS =
  /^(big5|euc-..|shift_jis|ibm866|koi8-u|windows-(874|125[235]))$/;

function readerOf(name: string, same: () => TextCodec | null): TextReader {
  // By the standard GBK is read as GB 18030; ICU knows more of it than there is.
  if (/^gb/.test(name)) return unitReader("gb18030", gb18030UnitAt);
  const other = ICU_DIFFERS.test(name) ? same() : null;
  return other?.reader() ?? nativeReader(name);
}

/** A codec as it is, or the one of that name that `TextDecoder` knows. */
export function toCodec(encoding: string | TextCodec): TextCodec {
  return typeof encoding === "string" ? findCodec(encoding) : encoding;
}

const UTF_8: TextCodec = {
  name: "utf-8",
  reader: () => nativeReader("utf-8"),
  writer: () => {
    const encoder = new TextEncoder();
    return {
      write: (text) => encoder.encode(text),
      end: () => new Uint8Array(0),
    };
  },
};

function unknown(label: string, more: Encodings | undefined): never {
  const names = [...COMMON_NAMES, ...more?.names ?? []];
  const near = nearest(label.toLowerCase(), [...new Set(names)]).slice(0, 3);
  const hint = near.length > 0
    ? `Did you mean ${near.join(" or ")}?`
    : "Some of those that are known: utf-8, gbk, big5, shift_jis, windows-1252";
  const where = more === undefined
    ? " without limpet/iconv (connect(…, { encodings: iconv }))"
    : "";
  throw new LimpetError(
    "invalid_argument",
    `There is no encoding "${printable(label)}"${where}. ${hint}`,
  );
}
