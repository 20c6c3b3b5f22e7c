/**
 * Our own stdin and stdout as one byte stream.
 *
 * @module
 */

import { streamOfReader } from "../../core/adapter/reader_stream.ts";
import { lostError } from "../../core/adapter/os_error.ts";
import type { Duplex } from "../../core/ports.ts";
import { osError } from "./errors.ts";
import { SourceReader, writableOf } from "./streams.ts";

/**
 * For `serve --stdio`. From here on nothing else may read stdin or write to
 * stdout, and to end either of them is for good.
 *
 * Deno never closes the descriptors beneath, so that whoever is at the other end
 * sees the end when we exit.
 */
export function stdio(): Duplex {
  const { stdin, stdout } = Deno;
  const map = (error: unknown) =>
    lostError(error === null ? null : osError(error));
  const closeInput = once(() => stdin.close());
  const closeOutput = once(() => stdout.close());
  const readable = streamOfReader(new SourceReader(stdin, map, closeInput));
  const writing = writableOf({
    write: (bytes) => stdout.write(bytes),
    end: closeOutput,
    abort: closeOutput,
  }, map);
  return Object.assign(writing, { readable, peer: "stdio" });
}

function once(close: () => void): () => void {
  let closed = false;
  return () => {
    if (closed) return;
    closed = true;
    close();
  };
}
