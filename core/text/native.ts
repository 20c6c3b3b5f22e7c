/**
 * The platform's `TextDecoder` as a reader.
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
  let decoder = new TextDecoder(name);
  return wholeCharacters({
    write(bytes) {
      try {
        return decoder.decode(bytes, { stream: true });
      } catch {
        // Node's, at what is not valid and comes in pieces too small for it.
        decoder = new TextDecoder(name);
        return "\ufffd" + decoder.decode(bytes, { stream: true });
      }
    },
    end() {
      try {
        return decoder.decode();
      } catch {
        return "\ufffd";
      }
    },
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
      return (held === "" ? text : text.slice(0, -1)).toWellFormed();
    },
    end: () => (held + reader.end()).toWellFormed(),
  };
}
