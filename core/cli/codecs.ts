/**
 * Encodings by name for the command line, and the one that we speak ourselves.
 *
 * @module
 */

import { encodingOfLocale } from "../text/locale.ts";
import { type Encodings, findCodec, type TextCodec } from "../text/mod.ts";
import type { CliRuntime } from "./runtime.ts";

/** A program that speaks UTF-8 with everyone never loads the tables. */
export async function loadEncodings(): Promise<Encodings> {
  return (await import("../text/iconv.ts")).iconv;
}

/** The encoding of that name. Throws `invalid_argument` for an unknown one. */
export async function loadCodec(name: string): Promise<TextCodec> {
  if (/^utf-?8$/i.test(name)) return findCodec("utf-8");
  return findCodec(name, await loadEncodings());
}

/** What our own terminal speaks. Windows's takes UTF-8 from every runtime. */
export async function ownCodec(runtime: CliRuntime): Promise<TextCodec> {
  const name = runtime.isWindows
    ? "utf-8"
    : encodingOfLocale((variable) => runtime.env(variable));
  return await loadCodec(name).catch(() => findCodec("utf-8"));
}

/** Words of our own for our terminal, in its encoding. */
export async function ownWords(
  runtime: CliRuntime,
  text: string,
): Promise<Uint8Array> {
  const writer = (await ownCodec(runtime)).writer();
  // What the encoding does not have is shown as `?`.
  return writer?.write(text) ?? new TextEncoder().encode(text);
}
