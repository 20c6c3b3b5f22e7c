/**
 * Our own stdin and stdout as one byte stream.
 *
 * @module
 */

import { closeSync, createWriteStream, fstatSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { devNull } from "node:os";
import process from "node:process";
import type { Writable } from "node:stream";
import { lostError } from "../../core/adapter/os_error.ts";
import type { Duplex } from "../../core/ports.ts";
import { osError } from "./errors.ts";
import { NodeWriter, readableOf } from "./streams.ts";

/**
 * For `serve --stdio`. From here on nothing else may read stdin or write to
 * stdout, and to end either of them is for good.
 */
export function stdio(): Duplex {
  const input = process.stdin;
  const output = openOutput();
  input.once("close", () => release(0));
  output.once("close", () => release(1));
  const map = (error: unknown) =>
    lostError(error === null ? null : osError(error));
  const writer = new NodeWriter(output, map, () => output.destroy());
  return {
    readable: readableOf(input, map, () => input.destroy()),
    get writable() {
      return writer.writable;
    },
    writev: (chunks) => writer.writev(chunks),
    end: () => writer.end(),
    peer: "stdio",
  };
}

/** Not `process.stdout`, which cannot be ended. */
function openOutput(): Writable {
  const info = fstatSync(1);
  return info.isFIFO() || info.isSocket()
    ? new Socket({ fd: 1, readable: false, writable: true })
    : createWriteStream("", { fd: 1, autoClose: false });
}

/**
 * Node leaves the standard descriptors open, and whoever is at the other end
 * would wait for the end until we exit.
 */
function release(fd: 0 | 1): void {
  closeSync(fd);
  // The number must not go to something that a stray write would then hit.
  openSync(devNull, fd === 0 ? "r" : "w");
}
