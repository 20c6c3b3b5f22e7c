/**
 * Line editing and history on the terminal. Deno itself offers neither, so this
 * is Node's readline, which Deno brings along; `node:process` with it, because
 * readline wants Node's streams.
 *
 * @module
 */

import process from "node:process";
import { ReadlineEditor } from "../../core/adapter/readline_editor.ts";
import type { LineEditor } from "../../core/cli/runtime.ts";

/** An editor on our own terminal; readline is loaded when it first reads. */
export function lineEditor(): LineEditor {
  return new ReadlineEditor(process, async () => {
    const { createInterface } = await import("node:readline");
    return createInterface({
      input: process.stdin,
      // As a shell does when its output goes elsewhere.
      output: process.stdout.isTTY ? process.stdout : process.stderr,
      terminal: true,
      historySize: 1_000,
      removeHistoryDuplicates: true,
    });
  });
}
