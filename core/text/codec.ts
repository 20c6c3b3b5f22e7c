/**
 * Encodings by name: the platform's `TextDecoder` first, and what it lacks from
 * whoever supplies it (`limpet/iconv`).
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { COMMON_NAMES, standardName } from "./names.ts";

/** Bytes to text, piece by piece. No piece ends in the middle of a character. */
export interface TextReader {
  /** Bytes that are not valid become U+FFFD. */
  write(bytes: Uint8Array): string;
  /** What an incomplete character at the end comes to: U+FFFD, or nothing. */
  end(): string;
}

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

/** Where ICU's decoders, which Node has, part from the standard. */
const ICU_DIFFERS: readonly string[] = ["big5", "euc-kr"];

function readerOf(name: string, same: () => TextCodec | null): TextReader {
  // By the standard the two are decoded alike; ICU knows GBK's bytes that are not
  // valid as characters of their own.
  if (name === "gbk") return nativeReader("gb18030");
  const other = ICU_DIFFERS.includes(name) ? same() : null;
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

/** The platform's own decoder, for a name that it knows. */
export function nativeReader(name: string): TextReader {
  const decoder = new TextDecoder(name);
  return wholeCharacters({
    write: (bytes) => decoder.decode(bytes, { stream: true }),
    end: () => decoder.decode(),
  });
}

/** The first half of a surrogate pair waits for the second. */
export function wholeCharacters(reader: TextReader): TextReader {
  let held = "";
  return {
    write(bytes) {
      const text = held + reader.write(bytes);
      const last = text.charCodeAt(text.length - 1);
      held = last >= 0xd800 && last <= 0xdbff ? text.slice(-1) : "";
      return wellFormed(held === "" ? text : text.slice(0, -1));
    },
    end: () => wellFormed(held + reader.end()),
  };
}

const HALF_PAIR = /\p{Surrogate}/gu;

function wellFormed(text: string): string {
  return text.replace(HALF_PAIR, "\ufffd");
}

function unknown(label: string, more: Encodings | undefined): never {
  const names = [...COMMON_NAMES, ...more?.names ?? []];
  const near = nearest(label.toLowerCase(), [...new Set(names)]).slice(0, 3);
  const hint = near.length > 0
    ? `Did you mean ${near.join(" or ")}?`
    : `Known are ${COMMON_NAMES.join(", ")} and others`;
  const where = more === undefined ? " without limpet/iconv" : "";
  throw new LimpetError(
    "invalid_argument",
    `There is no encoding "${label}"${where}. ${hint}`,
  );
}
