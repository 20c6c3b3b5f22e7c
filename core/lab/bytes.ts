/**
 * Small things to do with bytes, for the experiments.
 *
 * @module
 */

import { printable } from "../printable.ts";

/** Text as the bytes that cross the wire. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** What a program in a terminal would make of the bytes. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Whether both hold the same bytes. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  // Not `every`: over many megabytes that is seconds in which nothing else runs.
  for (let i = 0; i < a.byteLength; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether the bytes begin with `prefix`, which must not be empty. */
export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.byteLength > 0 &&
    same(bytes.subarray(0, prefix.byteLength), prefix);
}

/** Bytes that differ from place to place, so that a gap would show. */
export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

/** How many bytes of a long piece are shown at either end. */
const SHOWN = 19;

/** `"1\n2\n3\n…99\n100\n"`: the beginning and the end, safe to print. */
export function quoted(bytes: Uint8Array): string {
  const escape = (part: Uint8Array) =>
    printable(
      textOf(part).replaceAll("\\", "\\\\").replaceAll("\n", "\\n"),
    );
  if (bytes.byteLength <= 2 * SHOWN) return `"${escape(bytes)}"`;
  const head = escape(bytes.subarray(0, SHOWN));
  const tail = escape(bytes.subarray(-SHOWN));
  return `"${head}…${tail}"`;
}
