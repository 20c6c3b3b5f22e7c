/**
 * What an encoding is, and encodings by name: from whoever supplies them, or as
 * the platform's `TextDecoder` has them. Every client carries this; what is
 * known of names besides is in `find.ts`.
 *
 * @module
 */

import { EMPTY, utf8 } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";
import { nativeReader, type TextReader } from "./native.ts";

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
  /** The names it knows. */
  readonly names: readonly string[];
  /** What to tell somebody who gave a name it does not know: a sentence. */
  hint?(label: string): string;
}

/** Where there are more encodings than these. */
export const MORE_ENCODINGS =
  "limpet/iconv knows more: connect(…, { encodings: iconv })";

/**
 * The encoding of that name: as `encodings` have it, else `TextDecoder`, whose
 * names are https://encoding.spec.whatwg.org/#names-and-labels
 *
 * @throws {LimpetError} `invalid_argument` for a name that neither knows.
 */
export function codecNamed(label: string, encodings?: Encodings): TextCodec {
  // Types are gone at run time.
  if (typeof label !== "string") {
    throw new LimpetError(
      "invalid_argument",
      `The name of an encoding is a string, not ${typeof label}`,
    );
  }
  const codec = encodings?.find(label) ?? nativeCodec(label);
  if (codec !== null) return codec;
  const hint = encodings?.hint?.(label) ?? MORE_ENCODINGS;
  throw new LimpetError(
    "invalid_argument",
    `There is no encoding "${printable(label)}". ${hint}`,
  );
}

/** A codec as it is, or the one that `TextDecoder` has under that name. */
export function toCodec(encoding: string | TextCodec): TextCodec {
  return typeof encoding === "string" ? codecNamed(encoding) : encoding;
}

/** What `TextDecoder` calls an encoding; null if it does not know it. */
export function nativeName(label: string): string | null {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return null;
  }
}

function nativeCodec(label: string): TextCodec | null {
  const name = nativeName(label);
  if (name === null) return null;
  if (name === "utf-8") return UTF_8;
  return { name, reader: () => nativeReader(name), writer: () => null };
}

/** The one encoding that every platform can write. */
export const UTF_8: TextCodec = {
  name: "utf-8",
  reader: () => nativeReader("utf-8"),
  writer: () => ({ write: utf8, end: () => EMPTY }),
};
