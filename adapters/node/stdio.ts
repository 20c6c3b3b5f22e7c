/**
 * Our own stdin and stdout as one byte stream.
 *
 * @module
 */

import { lostError } from "../../core/adapter/os_error.ts";
import type { Duplex } from "../../core/ports.ts";
import { osError } from "./errors.ts";
import { readableOf, writableOf } from "./streams.ts";

/**
 * For `serve --stdio`. From here on nothing else may read stdin or write to
 * stdout, and to end either of them is for good.
 */
export function stdio(): Duplex {
  const { stdin, stdout } = process;
  const map = (error: unknown) =>
    lostError(error === null ? null : osError(error));
  const { writable, writev } = writableOf(stdout, map, () => stdout.destroy());
  const readable = readableOf(stdin, map, () => stdin.destroy());
  return { readable, writable, writev, peer: "stdio" };
}
