/**
 * Our own stdin and stdout as one byte stream.
 *
 * @module
 */

import { LazyDuplex } from "../../core/adapter/lazy_duplex.ts";
import { lostError } from "../../core/adapter/os_error.ts";
import type { Duplex } from "../../core/ports.ts";
import { osError } from "./errors.ts";
import { SinkWriter, SourceReader } from "./streams.ts";

/**
 * For `serve --stdio`. From here on nothing else may read stdin or write to
 * stdout, and to end either of them is for good.
 *
 * Deno never closes the descriptors beneath, so that whoever is at the other end
 * sees the end when we exit.
 */
export function stdio(): Duplex {
  const { stdin, stdout } = Deno;
  const explain = (error: unknown) =>
    lostError(error === null ? null : osError(error));
  const over = once(() => stdin.close());
  const end = once(() => stdout.close());
  const reader = new SourceReader({
    read: (buffer) => stdin.read(buffer),
    over,
    explain,
  });
  const writer = new SinkWriter({
    write: (bytes) => stdout.write(bytes),
    end,
    abort: end,
    explain,
  });
  return new LazyDuplex("stdio", reader, writer);
}

function once(close: () => void): () => void {
  let closed = false;
  return () => {
    if (closed) return;
    closed = true;
    close();
  };
}
