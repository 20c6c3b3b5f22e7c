/**
 * Bytes to text.
 *
 * @module
 */

import { type TextCodec, toCodec } from "./codec.ts";

/**
 * The text of some bytes. Bytes that are not valid become U+FFFD; a byte-order
 * mark is taken off.
 */
export function decodeText(
  bytes: Uint8Array,
  encoding: string | TextCodec = "utf-8",
): string {
  const reader = toCodec(encoding).reader();
  return reader.write(bytes) + reader.end();
}

/** The text of a byte stream, no character broken by where its chunks end. */
export function decodeStream(
  bytes: ReadableStream<Uint8Array>,
  encoding: string | TextCodec = "utf-8",
): ReadableStream<string> {
  const reader = toCodec(encoding).reader();
  return bytes.pipeThrough(
    new TransformStream<Uint8Array, string>({
      transform(chunk, controller) {
        const text = reader.write(chunk);
        if (text !== "") controller.enqueue(text);
      },
      flush(controller) {
        const text = reader.end();
        if (text !== "") controller.enqueue(text);
      },
    }),
  );
}
