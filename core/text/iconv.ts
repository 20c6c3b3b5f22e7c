/**
 * The encodings that `TextDecoder` does not know or cannot write, from
 * iconv-lite. An entry point of its own (`limpet/iconv`), so that whoever does
 * not import it does not ship its tables:
 *
 * ```ts
 * import { connect } from "limpet/node";
 * import { iconv } from "limpet/iconv";
 * const session = await connect("127.0.0.1", { encodings: iconv });
 * ```
 *
 * iconv-lite works on `Buffer`: Node, Deno and Bun have it, a Worker needs
 * `nodejs_compat`, a browser a bundler that supplies it.
 *
 * @module
 */

import untyped from "iconv-lite";
import { concat } from "../bytes.ts";
import type { Encodings, TextCodec, TextReader, TextWriter } from "./codec.ts";
import { standardEncodings } from "./find.ts";
import { standardReader } from "./icu.ts";
import { wholeCharacters } from "./native.ts";

export type { Encodings, TextCodec, TextReader, TextWriter };

/** What we use of it. Its own types need those of Node, which not all have. */
interface Library {
  encodingExists(name: string): boolean;
  getDecoder(name: string): {
    write(bytes: Uint8Array): string;
    end(): string | 0 | undefined;
  };
  getEncoder(name: string, options: { addBOM: boolean }): {
    write(text: string): Uint8Array;
    end(): Uint8Array | undefined;
  };
  /** Null until the first encoding was asked for. */
  readonly encodings: Readonly<Record<string, unknown>> | null;
}

const iconvLite = untyped as unknown as Library;

/** Names of what is no character encoding, or is none by itself. */
const NOT_TEXT = /^(_.*|\d+|base64|hex|binary)$/;

/** The WHATWG's names that iconv-lite spells differently. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ["iso-8859-8-i", "iso-8859-8"],
  ["x-mac-cyrillic", "maccyrillic"],
]);

/** What iconv-lite has, under the names that it has for it. */
const library: Encodings = {
  find(label) {
    const name = resolve(SPELLINGS.get(label) ?? label);
    return name === null ? null : codec(name, label);
  },
  get names() {
    // Of all the aliases only code pages are what somebody may have meant.
    return Object.entries(table())
      .filter(([name, entry]) =>
        !NOT_TEXT.test(name) &&
        (typeof entry !== "string" || /^cp\d+$/.test(name))
      )
      .map(([name]) => name);
  },
};

/** See the module's description. */
export const iconv: Encodings = standardEncodings(library);

/** What iconv-lite calls it, aliases followed. Null if it does not know it. */
function resolve(label: string): string | null {
  const known = table();
  let name = label.toLowerCase().replace(/[^a-z0-9]/g, "");
  // As chcp(1) prints them.
  if (/^\d+$/.test(name)) name = `cp${name}`;
  for (;;) {
    if (NOT_TEXT.test(name) || !Object.hasOwn(known, name)) return null;
    const entry = known[name];
    if (typeof entry !== "string") return name;
    name = entry;
  }
}

function table(): Readonly<Record<string, unknown>> {
  // It loads the list when it is first asked.
  iconvLite.encodingExists("utf8");
  return iconvLite.encodings ?? {};
}

function codec(name: string, label: string): TextCodec {
  return {
    name,
    reader: () => standardReader(label, () => reader(name)) ?? reader(name),
    writer: () => writer(name),
  };
}

function reader(name: string): TextReader {
  const decoder = iconvLite.getDecoder(name);
  const plainReader = {
    write: (bytes: Uint8Array) => decoder.write(bytes),
    // Its cesu-8 says 0 where there is nothing.
    end: () => decoder.end() || "",
  };
  const { write, end } = name.startsWith("utf7")
    ? withoutLeadingMinus(plainReader)
    : plainReader;
  return wholeCharacters({ write, end });
}

const MINUS = 0x2d;

/**
 * iconv-lite's UTF-7 takes a `-` that begins a chunk for the end of an empty
 * run, which means `+`. So the byte before it goes with it.
 */
function withoutLeadingMinus(reader: TextReader): TextReader {
  let held: Uint8Array = new Uint8Array(0);
  return {
    write(bytes) {
      const whole = concat([held, bytes]);
      const isHeld = whole.byteLength > 0 && whole.at(-1) !== MINUS;
      const end = whole.byteLength - (isHeld ? 1 : 0);
      held = whole.subarray(end);
      return reader.write(whole.subarray(0, end));
    },
    end: () => reader.write(held) + reader.end(),
  };
}

/** Its results are `Buffer`s, which callers are not to take for granted. */
function writer(name: string): TextWriter {
  const encoder = iconvLite.getEncoder(name, { addBOM: false });
  return {
    write: (text) => plain(encoder.write(text)),
    end: () => plain(encoder.end()),
  };
}

function plain(bytes: Uint8Array | undefined): Uint8Array {
  return bytes === undefined ? new Uint8Array(0) : new Uint8Array(bytes);
}
