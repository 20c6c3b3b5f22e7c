/**
 * A terminal that does not speak UTF-8, for readline, which speaks nothing else.
 * Adapters bring Node's streams, which this puts in between.
 *
 * @module
 */

import {
  findCodec,
  type TextCodec,
  type TextReader,
  type TextWriter,
} from "../text/mod.ts";

/** What is used of `process.stdin` when it is a terminal. */
export interface TerminalInput {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
  setRawMode(raw: boolean): unknown;
}

/** What is used of Node's `PassThrough`. */
export interface Through {
  write(text: string): unknown;
  end(text: string): unknown;
  pause(): unknown;
  resume(): unknown;
}

/**
 * Makes `through` the terminal's input as text: what the terminal sends comes
 * out of it in UTF-8, and what readline does to it happens to the terminal. A
 * character whose bytes come one by one comes out when it is complete.
 */
export function decodedInput<T extends Through>(
  terminal: TerminalInput,
  through: T,
  codec: TextCodec,
): T {
  const reader: TextReader = codec.reader();
  terminal.on("data", (chunk) => {
    const text = reader.write(chunk);
    if (text !== "") through.write(text);
  });
  terminal.on("end", () => through.end(reader.end()));
  const pause = through.pause.bind(through);
  const resume = through.resume.bind(through);
  return Object.assign(through, {
    isTTY: true,
    setRawMode: (raw: boolean) => {
      terminal.setRawMode(raw);
      return through;
    },
    // What is typed while nobody reads stays with the system.
    pause: () => {
      terminal.pause();
      pause();
      return through;
    },
    resume: () => {
      terminal.resume();
      resume();
      return through;
    },
  });
}

/** What is used of `process.stdout` when it is a terminal. */
export interface TerminalOutput {
  readonly columns: number;
  readonly rows: number;
  on(event: "resize", listener: () => void): unknown;
  write(bytes: Uint8Array): unknown;
}

/** What is used of Node's `Writable`. */
export interface Written {
  emit(event: "resize"): unknown;
}

/**
 * Makes what `open` gives the terminal's output as text: what it is given to
 * write leaves in the terminal's encoding, in which `?` stands for what that
 * does not have. `open` gets the function that writes, at once.
 */
export function encodedOutput<T extends Written>(
  terminal: TerminalOutput,
  open: (write: (text: string) => void) => T,
  codec: TextCodec,
): T {
  const writer: TextWriter = codec.writer() ?? findCodec("utf-8").writer()!;
  const output = open((text) => void terminal.write(writer.write(text)));
  terminal.on("resize", () => output.emit("resize"));
  return Object.defineProperties(output, {
    isTTY: { value: true },
    columns: { get: () => terminal.columns },
    rows: { get: () => terminal.rows },
  });
}
