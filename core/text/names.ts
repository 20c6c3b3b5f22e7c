/**
 * What encodings are called, by the web, by Windows and by Unix.
 *
 * @module
 */

import { nativeName } from "./codec.ts";

/** The names that a hint offers first: what `TextDecoder` knows everywhere. */
export const COMMON_NAMES: readonly string[] = /* @__PURE__ */ (
  "utf-8 gbk gb18030 big5 shift_jis euc-jp euc-kr iso-2022-jp utf-16le " +
  "utf-16be windows-1250 windows-1251 windows-1252 windows-1253 " +
  "windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 " +
  "windows-874 iso-8859-1 iso-8859-2 iso-8859-5 iso-8859-7 iso-8859-15 " +
  "koi8-r koi8-u ibm866 macintosh"
).split(" ");

/**
 * Other names of encodings that `TextDecoder` knows: Windows's code page numbers
 * (Microsoft, "Code Page Identifiers") and the spellings of Unix locales, without
 * anything but letters and digits.
 */
const ALIASES: Readonly<Record<string, string>> = {
  cp65001: "utf-8",
  cp936: "gbk",
  cp54936: "gb18030",
  cp950: "big5",
  big5hkscs: "big5",
  cp932: "shift_jis",
  cp20932: "euc-jp",
  cp51932: "euc-jp",
  cp949: "euc-kr",
  cp51949: "euc-kr",
  euccn: "gbk",
  cp1200: "utf-16le",
  cp1201: "utf-16be",
  cp20866: "koi8-r",
  cp21866: "koi8-u",
  cp866: "ibm866",
  cp874: "windows-874",
  cp10000: "macintosh",
  cp20127: "windows-1252",
  ansix341968: "windows-1252",
};

/**
 * The WHATWG's name for an encoding that this platform's `TextDecoder` knows;
 * null for all others. https://encoding.spec.whatwg.org/#names-and-labels
 */
export function standardName(label: string): string | null {
  const plain = plainName(label)
    // As chcp(1) prints them.
    .replace(/^\d+$/, "cp$&")
    .replace(/^(?:ms|win|windows)(93[26]|949|950)$/, "cp$1");
  const alias = Object.hasOwn(ALIASES, plain)
    ? ALIASES[plain]
    : COMMON_NAMES.find((name) => plainName(name) === plain) ??
      // cp1250 to cp1258, cp28591 and the like.
      plain.replace(/^cp(125\d)$/, "windows-$1")
        .replace(/^cp2859(\d)$/, "iso-8859-$1")
        .replace(/^cp2860([35])$/, "iso-8859-1$1");
  return nativeName(label) ?? nativeName(alias);
}

function plainName(label: string): string {
  return label.toLowerCase().replace(/[^a-z0-9]/g, "");
}
