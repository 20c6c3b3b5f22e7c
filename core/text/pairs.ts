/**
 * Encodings of two bytes for whatever is not ASCII, which neither ICU's decoders
 * (Node's) nor iconv-lite's read as the standard says: ICU takes some of Big5's
 * characters for others and does not know the half of Korean's that Windows
 * added; iconv-lite takes what is not valid differently where chunks are cut.
 *
 * @module
 */

import { nativeReader, type TextReader } from "./native.ts";

/** iconv-lite's name → the WHATWG's, and a pair that shows who knows them all. */
const PROBES: ReadonlyMap<string, readonly [string, Uint8Array, string]> =
  new Map([
    ["big5hkscs", ["big5", Uint8Array.of(0x87, 0x40), "\u43f0"]],
    ["cp949", ["euc-kr", Uint8Array.of(0x81, 0x41), "\uac02"]],
  ]);

/**
 * The reader of an encoding of pairs, by the platform if it keeps to the
 * standard, else of whole characters by `reader`. Null for other encodings.
 */
export function standardPairs(
  name: string,
  reader: () => TextReader,
): TextReader | null {
  const probe = PROBES.get(name);
  if (probe === undefined) return null;
  const [label, bytes, text] = probe;
  const isStandard = new TextDecoder(label).decode(bytes) === text;
  return isStandard ? nativeReader(label) : pairReader(reader);
}

/** https://encoding.spec.whatwg.org/#big5-decoder */
function pairReader(whole: () => TextReader): TextReader {
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
