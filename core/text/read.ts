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
  const reader = toCodec(encoding).reader();
  /** Of a line whose end has not come yet. */
  let begun = "";
  type Lines = TransformStreamDefaultController<string>;
  const push = (text: string, controller: Lines) => {
    const lines = text.split("\n");
    const last = lines.pop()!;
    // Only what is new is looked at: a long line may come in many small pieces.
    for (const rest of lines) {
      const line = begun + rest;
      begun = "";
      controller.enqueue(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    begun += last;
    if (begun.length > MAX_LINE_LENGTH) {
      throw new LimpetError(
        "limit_exceeded",
        `A line is longer than ${MAX_LINE_LENGTH} characters`,
      );
    }
  };
  return bytes.pipeThrough(
    new TransformStream<Uint8Array, string>({
      transform(chunk, controller) {
        push(reader.write(chunk), controller);
      },
      flush(controller) {
        push(reader.end(), controller);
        if (begun !== "") controller.enqueue(begun);
      },
    }),
  );
}
