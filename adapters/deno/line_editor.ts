/**
 * Line editing and history on the terminal. Deno itself offers neither, so this
 * is Node's readline, which Deno brings along; `node:process` with it, because
 * readline wants Node's streams.
 *
 * @module
 */

import process from "node:process";
import { ReadlineEditor } from "../../core/adapter/readline_editor.ts";
import {
  decodedInput,
  encodedOutput,
} from "../../core/adapter/terminal_text.ts";
import type { LineEditor } from "../../core/cli/runtime.ts";
import type { TextCodec } from "../../core/text/mod.ts";

/**
 * An editor on our own terminal, which speaks `codec`; readline is loaded when
 * it first reads.
 */
export function lineEditor(codec: TextCodec): LineEditor {
  return new ReadlineEditor(process, async () => {
    const { createInterface } = await import("node:readline");
    return createInterface({
      ...await streams(codec),
      terminal: true,
      historySize: 1_000,
      removeHistoryDuplicates: true,
    });
  });
}

/** The terminal itself, or what speaks UTF-8 with readline in its place. */
async function streams(codec: TextCodec) {
  const input = process.stdin;
  // As a shell does when its output goes elsewhere.
  const output = process.stdout.isTTY ? process.stdout : process.stderr;
  if (codec.name === "utf-8") return { input, output };
  const { PassThrough, Writable } = await import("node:stream");
  return {
    input: decodedInput(input, new PassThrough(), codec),
    output: encodedOutput(
      output,
      (write) =>
        new Writable({
          decodeStrings: false,
          write: (text, _, done) => {
            write(String(text));
            done();
          },
        }),
      codec,
    ),
  };
}
