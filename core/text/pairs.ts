/**
 * Encodings of two bytes for whatever is not ASCII.
 *
 * @module
 */

import type { TextReader } from "./native.ts";

/**
 * Reads pairs by the standard, and what they mean by another reader: iconv-lite's
 * own takes what is not valid differently where chunks are cut.
 * https://encoding.spec.whatwg.org/#big5-decoder
 */
export function pairReader(whole: () => TextReader): TextReader {
  const known = new Map<number, string>();
  const characterOf = (first: number, second: number): string => {
    const key = first << 8 | second;
    let character = known.get(key);
    if (character === undefined) {
      const reader = whole();
      character = reader.write(Uint8Array.of(first, second)) + reader.end();
      known.set(key, character);
    }
    return character;
  };
  let first = 0;
  return {
    write(bytes) {
      let text = "";
      for (const byte of bytes) {
        if (first !== 0) {
          const character = characterOf(first, byte);
          first = 0;
          const isValid = !character.includes("\ufffd");
          text += isValid ? character : "\ufffd";
          if (isValid || byte >= 0x80) continue;
        }
        if (byte < 0x80) text += String.fromCharCode(byte);
        else if (byte > 0x80 && byte < 0xff) first = byte;
        else text += "\ufffd";
      }
      return text;
    },
    end: () => {
      const isCut = first !== 0;
      first = 0;
      return isCut ? "\ufffd" : "";
    },
  };
}
