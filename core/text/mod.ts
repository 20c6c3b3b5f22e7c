/**
 * Bytes to text and back: the one place for encodings.
 *
 * @module
 */

export { codecNamed } from "./codec.ts";
export type { Encodings, TextCodec, TextReader, TextWriter } from "./codec.ts";
export { findCodec, standardEncodings } from "./find.ts";
export {
  decodeLines,
  decodeStream,
  decodeText,
  MAX_LINE_LENGTH,
} from "./read.ts";
export { encodeStream, encodeText, keepsAscii } from "./write.ts";
