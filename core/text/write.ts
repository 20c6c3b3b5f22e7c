/**
 * Text to bytes. Nothing is lost on the way: a character that the encoding does
 * not have is an error that names it.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import { type TextCodec, type TextWriter, toCodec } from "./codec.ts";

/**
 * The bytes of some text.
 *
 * @throws {LimpetError} `invalid_argument` for a character that the encoding
 * lacks; `unsupported` where the encoding can only be read (`limpet/iconv` can
 * write nearly all).
 */
export function encodeText(
  text: string,
  encoding: string | TextCodec = "utf-8",
): Uint8Array {
  const codec = toCodec(encoding);
  const writer = writerOf(codec);
  checkText(text, codec);
  return whole(writer, text);
}

/**
 * The bytes of a stream of text, for a command's `stdin`. It errors as
 * {@linkcode encodeText} throws.
 */
export function encodeStream(
  text: ReadableStream<string>,
  encoding: string | TextCodec = "utf-8",
): ReadableStream<Uint8Array> {
  const writer = strictWriter(toCodec(encoding));
  return text.pipeThrough(
    new TransformStream<string, Uint8Array>({
      transform(chunk, controller) {
        const bytes = writer.write(chunk);
        if (bytes.byteLength > 0) controller.enqueue(bytes);
      },
      flush(controller) {
        const bytes = writer.end();
        if (bytes.byteLength > 0) controller.enqueue(bytes);
      },
    }),
  );
}

/** Whether the encoding writes ASCII as ASCII, as a console's must. */
export function keepsAscii(codec: TextCodec): boolean {
  const bytes = Uint8Array.from({ length: 128 }, (_, i) => i);
  const writer = codec.writer();
  if (writer === null) return false;
  const written = whole(writer, String.fromCharCode(...bytes));
  return written.byteLength === 128 && written.every((byte, i) => byte === i);
}

function writerOf(codec: TextCodec): TextWriter {
  const writer = codec.writer();
  if (writer !== null) return writer;
  throw new LimpetError(
    "unsupported",
    `Text cannot be written in ${codec.name} here, only read: writing ` +
      "it needs limpet/iconv",
  );
}

/** Takes text in any pieces. */
function strictWriter(codec: TextCodec): TextWriter {
  const writer = writerOf(codec);
  // The first half of a surrogate pair waits for the second.
  let held = "";
  const write = (text: string): Uint8Array => {
    checkText(text, codec);
    return writer.write(text);
  };
  return {
    write(text) {
      const all = held + text;
      const last = all.charCodeAt(all.length - 1);
      held = last >= 0xd800 && last <= 0xdbff ? all.slice(-1) : "";
      return write(held === "" ? all : all.slice(0, -1));
    },
    end: () => concat([write(held), writer.end()]),
  };
}

/** Throws for what would not come back as it went. */
function checkText(text: string, codec: TextCodec): void {
  if (survives(text, codec)) return;
  const culprit = [...text].find((character) => !survives(character, codec));
  const [shown, code] = culprit === undefined
    ? [text.slice(0, 20), ""]
    : [culprit, ` (U+${hex(culprit)})`];
  throw new LimpetError(
    "invalid_argument",
    culprit === "\ufffd"
      ? `What is to be written in ${codec.name} was no valid text: it has ` +
        "U+FFFD, which stands for bytes that mean nothing"
      : `The character "${shown}"${code} cannot be written in ${codec.name}`,
  );
}

function survives(text: string, codec: TextCodec): boolean {
  const writer = codec.writer();
  if (writer === null) return false;
  const reader = codec.reader();
  const back = reader.write(whole(writer, text)) + reader.end();
  return withoutMark(back) === withoutMark(text);
}

function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, "");
}

function hex(character: string): string {
  return character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
}

function whole(writer: TextWriter, text: string): Uint8Array {
  return concat([writer.write(text), writer.end()]);
}
