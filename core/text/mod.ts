/**
 * Bytes to text and back: the one place for encodings.
 *
 * @module
 */

export { findCodec } from "./codec.ts";
export type { Encodings, TextCodec, TextReader, TextWriter } from "./codec.ts";
export {
  decodeLines,
  decodeStream,
  decodeText,
  MAX_LINE_LENGTH,
} from "./read.ts";
export { encodeStream, encodeText, keepsAscii } from "./write.ts";
