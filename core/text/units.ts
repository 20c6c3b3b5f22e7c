/**
 * Encodings of several bytes a character, cut into whole characters here and
 * decoded by the platform: Node's decoder throws when it is fed byte by byte and
 * some are not valid, at its own buffer, which is too small for what had waited.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import type { TextReader } from "./native.ts";

/**
 * What begins at `at`: a character of so many bytes; 0 if its end has not come
 * yet; less than 0 for so many bytes that mean nothing.
 */
export type UnitAt = (bytes: Uint8Array, at: number) => number;

/** Reads the encoding that the platform calls `name`. */
export function unitReader(name: string, unitAt: UnitAt): TextReader {
  const decoder = new TextDecoder(name);
  let held: Uint8Array = new Uint8Array(0);
  return {
    write(bytes) {
      const whole = concat([held, bytes]);
      let text = "";
      let start = 0;
      let at = 0;
      while (at < whole.byteLength) {
        const length = unitAt(whole, at);
        if (length === 0) break;
        if (length < 0) {
          text += decoder.decode(whole.subarray(start, at)) + "\ufffd";
          start = at - length;
        }
        at += Math.abs(length);
      }
      held = whole.subarray(at);
      return text + decoder.decode(whole.subarray(start, at));
    },
    end() {
      const isCut = held.byteLength > 0;
      held = new Uint8Array(0);
      return isCut ? "\ufffd" : "";
    },
  };
}

/** GB 18030, and GBK within it. https://encoding.spec.whatwg.org/#gb18030-decoder */
export const gb18030UnitAt: UnitAt = (bytes, at) => {
  const [first, second, third, fourth] = bytes.subarray(at, at + 4);
  if (first <= 0x80) return 1;
  if (first === 0xff) return -1;
  if (second === undefined) return 0;
  if (!isDigit(second)) {
    if (second >= 0x40 && second !== 0x7f && second !== 0xff) return 2;
    return second < 0x80 ? -1 : -2;
  }
  if (third === undefined) return 0;
  if (third <= 0x80 || third === 0xff) return -1;
  if (fourth === undefined) return 0;
  return isDigit(fourth) ? 4 : -1;
};

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
