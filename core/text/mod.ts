/**
 * Bytes to text and back: the one place for encodings.
 *
 * @module
 */

export { codecNamed } from "./codec.ts";
export type { Encodings, TextCodec, TextReader, TextWriter } from "./codec.ts";
export { findCodec, standardEncodings } from "./find.ts";
export { decodeLines, MAX_LINE_LENGTH } from "./lines.ts";
export { decodeStream, decodeText } from "./read.ts";
export { encodeStream, encodeText, keepsAscii } from "./write.ts";
