/**
 * Line editing and history on the terminal, by Node's readline.
 *
 * @module
 */

import process from "node:process";
import type { Interface } from "node:readline";
import type { LineEditor } from "../../core/cli/runtime.ts";

/** See `LineEditor` in core/cli/runtime.ts. */
export class TerminalLineEditor implements LineEditor {
  #interface: Interface | null = null;
  /** Lines typed ahead: one chunk of input may hold several. */
  readonly #lines: string[] = [];
  #ended = false;
  #wake: (() => void) | null = null;

  async read(prompt: string): Promise<string | null> {
    this.#interface ??= await this.#open();
    if (this.#lines.length === 0 && !this.#ended) {
      this.#interface.setPrompt(prompt);
      process.stdin.setRawMode(true);
      this.#interface.resume();
      this.#interface.prompt();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#rest();
    }
    return this.#lines.shift() ?? null;
  }

  close(): void {
    this.#interface?.close();
    process.stdin.pause();
  }

  async #open(): Promise<Interface> {
    // Loaded here, for `exec` starts faster without it.
    const { createInterface } = await import("node:readline");
    const editor = createInterface({
      input: process.stdin,
      // As a shell does when its output goes elsewhere.
      output: process.stdout.isTTY ? process.stdout : process.stderr,
      terminal: true,
      historySize: 1_000,
      removeHistoryDuplicates: true,
    });
    editor.on("line", (line) => {
      this.#lines.push(line);
      this.#settle();
    });
    editor.on("close", () => {
      if (!this.#ended && this.#wake !== null) process.stderr.write("\n");
      this.#ended = true;
      this.#settle();
    });
    editor.on("SIGINT", () => {
      process.stderr.write("^C\n");
      // Drops what was typed: to the end of the line, then all before it.
      editor.write(null, { ctrl: true, name: "e" });
      editor.write(null, { ctrl: true, name: "u" });
      editor.prompt();
    });
    return editor;
  }

  #settle(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** An ordinary terminal again, in which Ctrl-C is a signal. */
  #rest(): void {
    if (!this.#ended) this.#interface?.pause();
    process.stdin.setRawMode(false);
  }
}
