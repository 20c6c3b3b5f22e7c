/**
 * Line editing and history on the terminal, over the readline interface that
 * Node has and the other runtimes bring along. Adapters open it.
 *
 * @module
 */

/** What is used of an open `node:readline` interface. */
export interface Readline {
  setPrompt(prompt: string): void;
  prompt(): void;
  pause(): unknown;
  resume(): unknown;
  close(): void;
  write(data: null, key: { ctrl: boolean; name: string }): void;
  on(event: "line", listener: (line: string) => void): unknown;
  on(event: "close" | "SIGINT", listener: () => void): unknown;
}

/** What is used of Node's `process`. */
export interface TerminalProcess {
  readonly stdin: {
    setRawMode(raw: boolean): unknown;
    pause(): unknown;
  };
  readonly stderr: { write(text: string): unknown };
}

/** See `LineEditor` in core/cli/runtime.ts. */
export class ReadlineEditor {
  readonly #terminal: TerminalProcess;
  readonly #open: () => Promise<Readline>;
  #readline: Readline | null = null;
  /** Lines typed ahead: one chunk of input may hold several. */
  readonly #lines: string[] = [];
  #ended = false;
  #wake: (() => void) | null = null;
  #interrupted: (() => void) | undefined;

  /** `open` is called at the first read. */
  constructor(terminal: TerminalProcess, open: () => Promise<Readline>) {
    this.#terminal = terminal;
    this.#open = open;
  }

  async read(
    prompt: string,
    interrupted?: () => void,
  ): Promise<string | null> {
    this.#interrupted = interrupted;
    this.#readline ??= this.#listen(await this.#open());
    if (this.#lines.length === 0 && !this.#ended) {
      this.#readline.setPrompt(prompt);
      this.#terminal.stdin.setRawMode(true);
      this.#readline.resume();
      this.#readline.prompt();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#rest();
    }
    return this.#lines.shift() ?? null;
  }

  close(): void {
    this.#readline?.close();
    this.#terminal.stdin.pause();
  }

  #listen(readline: Readline): Readline {
    readline.on("line", (line) => {
      this.#lines.push(line);
      this.#settle();
    });
    readline.on("close", () => {
      if (!this.#ended && this.#wake !== null) {
        this.#terminal.stderr.write("\n");
      }
      this.#ended = true;
      this.#settle();
    });
    readline.on("SIGINT", () => {
      this.#terminal.stderr.write("^C\n");
      if (this.#interrupted !== undefined) {
        this.#interrupted();
        this.#ended = true;
        this.#settle();
        return;
      }
      // Drops what was typed: to the end of the line, then all before it.
      readline.write(null, { ctrl: true, name: "e" });
      readline.write(null, { ctrl: true, name: "u" });
      readline.prompt();
    });
    return readline;
  }

  #settle(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** An ordinary terminal again, in which Ctrl-C is a signal. */
  #rest(): void {
    if (!this.#ended) this.#readline?.pause();
    this.#terminal.stdin.setRawMode(false);
  }
}
