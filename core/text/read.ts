/**
 * Bytes to text.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { type TextCodec, toCodec } from "./codec.ts";

/** Longest line that `lines()` gives out, in characters. */
export const MAX_LINE_LENGTH = 1_048_576;

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

/**
 * The lines of a byte stream, without their ends (`\n` or `\r\n`). Errors with
 * `limit_exceeded` for a line over {@linkcode MAX_LINE_LENGTH}.
 */
export function decodeLines(
  bytes: ReadableStream<Uint8Array>,
  encoding: string | TextCodec = "utf-8",
): ReadableStream<string> {
  return decodeStream(bytes, encoding).pipeThrough(lineSplitter());
}

function lineSplitter(): TransformStream<string, string> {
  /** The beginning of a line whose end has not come yet. */
  let held = "";
  return new TransformStream<string, string>({
    transform(chunk, controller) {
      const lines = chunk.split("\n");
      lines[0] = held + lines[0];
      held = lines.pop() ?? "";
      for (const line of lines) {
        controller.enqueue(line.endsWith("\r") ? line.slice(0, -1) : line);
      }
      if (held.length <= MAX_LINE_LENGTH) return;
      throw new LimpetError(
        "limit_exceeded",
        `A line is longer than ${MAX_LINE_LENGTH} characters`,
      );
    },
    flush(controller) {
      if (held !== "") controller.enqueue(held);
    },
  });
}
