/**
 * The platform's `TextDecoder`, held to the standard where it is known to part
 * from it. Node's is ICU's: it knows other characters for some bytes, gives
 * control characters in each other's place, and shows bytes that mean nothing as
 * characters of its own.
 *
 * @module
 */

/** Bytes to text, piece by piece. No piece ends in the middle of a character. */
export interface TextReader {
  /** Bytes that are not valid become U+FFFD. */
  write(bytes: Uint8Array): string;
  /** What an incomplete character at the end comes to: U+FFFD, or nothing. */
  end(): string;
}

/** The platform's own decoder, for a name that it knows. */
export function nativeReader(name: string): TextReader {
  const corrections = CORRECTIONS.get(name);
  if (corrections !== undefined) return byteReader(name, corrections);
  // By the standard the two are decoded alike; ICU knows more of GBK than is.
  const decoder = new TextDecoder(name === "gbk" ? "gb18030" : name);
  const repair = repairOf(name);
  return wholeCharacters({
    write: (bytes) => repair(decoder.decode(bytes, { stream: true })),
    end: () => repair(decoder.decode()),
  });
}

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

/** What makes the standard's text of the decoder's. */
function repairOf(name: string): (text: string) => string {
  // No character of EUC-JP is one of these: they were bytes that mean nothing.
  if (name === "euc-jp") {
    return (text) => text.replace(/[\x80-\x9f]/g, "\ufffd");
  }
  if (name !== "shift_jis" && name !== "ibm866") return (text) => text;
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
