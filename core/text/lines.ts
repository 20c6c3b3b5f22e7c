/**
 * Bytes to lines of text.
 *
 * @module
 */

import { TextLineStream } from "@std/streams";
import { LimpetError } from "../errors.ts";
import type { TextCodec } from "./codec.ts";
import { decodeStream } from "./read.ts";

/** Longest line that `lines()` gives out, in characters. */
export const MAX_LINE_LENGTH = 1_048_576;

/**
 * The lines of a byte stream, without their ends (`\n` or `\r\n`). Errors with
 * `limit_exceeded` for a line over {@linkcode MAX_LINE_LENGTH}.
 */
export function decodeLines(
  bytes: ReadableStream<Uint8Array>,
  encoding: string | TextCodec = "utf-8",
): ReadableStream<string> {
  return decodeStream(bytes, encoding)
    .pipeThrough(lineLengthGuard())
    .pipeThrough(new TextLineStream());
}

/** TextLineStream holds a line until its end comes; this bounds the wait. */
function lineLengthGuard(): TransformStream<string, string> {
  let length = 0;
  return new TransformStream({
    transform(chunk, controller) {
      const end = chunk.lastIndexOf("\n");
      length = chunk.length - end - 1 + (end < 0 ? length : 0);
      if (length > MAX_LINE_LENGTH) {
        throw new LimpetError(
          "limit_exceeded",
          `A line is longer than ${MAX_LINE_LENGTH} characters`,
        );
      }
      controller.enqueue(chunk);
    },
  });
}
