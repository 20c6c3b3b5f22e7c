/**
 * The standard's text where the platform's `TextDecoder` is known to part from
 * it. Node's is ICU's, which knows other characters for some bytes, does not know
 * the half of Korean's that Windows added, gives control characters in each
 * other's place, and shows bytes that mean nothing as characters of its own.
 *
 * @module
 */

import { nativeReader, type TextReader } from "./native.ts";
import { pairReader } from "./pairs.ts";
import { type UnitAt, unitReader } from "./units.ts";

/**
 * The reader of an encoding under its WHATWG name, of whole characters by
 * `other` where the platform cannot be put right. Null for other encodings.
 */
export function standardReader(
  name: string,
  other: () => TextReader,
): TextReader | null {
  const corrections = CORRECTIONS.get(name);
  if (corrections !== undefined) return byteReader(name, corrections);
  const probe = PAIRS.get(name);
  if (probe !== undefined) {
    const [bytes, text] = probe;
    const isStandard = new TextDecoder(name).decode(bytes) === text;
    return isStandard ? nativeReader(name) : pairReader(other);
  }
  if (name === "euc-jp") return unitReader(name, eucJpUnitAt);
  const repair = repairOf(name);
  if (repair === null) return null;
  const reader = nativeReader(name);
  return {
    write: (bytes) => repair(reader.write(bytes)),
    end: () => repair(reader.end()),
  };
}

/** Encodings of two bytes, and a pair that shows who knows them all. */
const PAIRS: ReadonlyMap<string, readonly [Uint8Array, string]> = new Map([
  ["big5", [Uint8Array.of(0x87, 0x40), "\u43f0"]],
  ["euc-kr", [Uint8Array.of(0x81, 0x41), "\uac02"]],
]);

/** Encodings of one byte, and what their bytes from some on mean. */
const CORRECTIONS: ReadonlyMap<string, readonly (readonly [number, string])[]> =
  new Map([
    ["koi8-u", [[0xae, "ў"], [0xbe, "Ў"]]],
    ["windows-874", [
      [0xdb, "\ufffd\ufffd\ufffd\ufffd"],
      [0xfc, "\ufffd\ufffd\ufffd\ufffd"],
    ]],
    ["windows-1252", [
      [0x80, "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ"],
    ]],
    ["windows-1253", [[0xaa, "\ufffd"]]],
    ["windows-1255", [[0xca, "\u05ba"]]],
  ]);

function byteReader(
  name: string,
  corrections: readonly (readonly [number, string])[],
): TextReader {
  const decoder = new TextDecoder(name);
  const table = Array.from(
    { length: 256 },
    (_, byte) => decoder.decode(Uint8Array.of(byte)),
  );
  for (const [first, characters] of corrections) {
    table.splice(first, characters.length, ...characters);
  }
  return {
    write: (bytes) => Array.from(bytes, (byte) => table[byte]).join(""),
    end: () => "",
  };
}

/** Control characters that ICU gives in each other's place, as IBM's tables do. */
const ROTATED = "\x1a\x1c\x7f";

/** What makes the standard's text of the decoder's; null if it is that. */
function repairOf(name: string): ((text: string) => string) | null {
  if (name !== "shift_jis" && name !== "ibm866") return null;
  const bytes = Uint8Array.from(ROTATED, (control) => control.charCodeAt(0));
  const given = new TextDecoder(name).decode(bytes);
  if (given === ROTATED) return (text) => text;
  return (text) =>
    text.replace(
      // deno-lint-ignore no-control-regex -- they are what it is about
      /[\x1a\x1c\x7f]/g,
      (control) => ROTATED[given.indexOf(control)],
    );
}

/** https://encoding.spec.whatwg.org/#euc-jp-decoder */
const eucJpUnitAt: UnitAt = (bytes, at) => {
  const [first, second, third] = bytes.subarray(at, at + 3);
  if (first < 0x80) return 1;
  if (!isHigh(first) && first !== 0x8e && first !== 0x8f) return -1;
  if (second === undefined) return 0;
  if (!isHigh(second) || (first === 0x8e && second > 0xdf)) {
    return second < 0x80 ? -1 : -2;
  }
  if (first !== 0x8f) return 2;
  if (third === undefined) return 0;
  if (isHigh(third)) return 3;
  return third < 0x80 ? -2 : -3;
};

function isHigh(byte: number): boolean {
  return byte >= 0xa1 && byte <= 0xfe;
}
