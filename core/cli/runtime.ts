/**
 * What the command line needs of the machine it runs on. Each adapter supplies
 * one value of {@linkcode CliRuntime}; the logic above it is the same everywhere.
 *
 * @module
 */

import type { LabSockets } from "../lab/sockets.ts";
import type { Machine } from "../machine.ts";
import type { Duplex } from "../ports.ts";
import type { TextCodec } from "../text/mod.ts";

/** One of the program's own three streams. */
export interface StandardInput {
  readonly isTerminal: boolean;
  /** Reads only while somebody reads; opened at the first call. */
  open(): ReadableStream<Uint8Array>;
}

/** Standard output or standard error. */
export interface StandardOutput {
  readonly isTerminal: boolean;
  /** Width in columns; null when it is no terminal. */
  columns(): number | null;
  /**
   * Settles when the bytes are with the OS. Rejects with a `LimpetError`:
   * `broken_pipe` when whoever read them has gone (EPIPE), else `write_failed`.
   */
  write(bytes: Uint8Array): Promise<void>;
}

/** Reads lines from the terminal, with editing and history. */
export interface LineEditor {
  /**
   * Shows the prompt and resolves to the line without its end, or to null at
   * end of input (Ctrl-D on an empty line). Ctrl-C drops the line and prompts
   * again; with `interrupted` it calls that and ends the input. Only while a read is pending is the terminal in raw mode; between
   * reads Ctrl-C is an ordinary SIGINT.
   */
  read(prompt: string, interrupted?: () => void): Promise<string | null>;
  /** Gives the terminal back as it was. */
  close(): void;
}

/** The machine, as the command line sees it. */
export interface CliRuntime extends Machine {
  /** For `--version`: `node 20.20.2`. */
  readonly name: string;
  /** What follows the program's name. */
  readonly args: readonly string[];
  readonly stdin: StandardInput;
  readonly stdout: StandardOutput;
  readonly stderr: StandardOutput;
  /** Listens for one of our own signals; the result stops listening. */
  onSignal(
    name: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGQUIT" | "SIGUSR1" | "SIGUSR2",
    handler: () => void,
  ): () => void;
  /**
   * From now on what nobody catches, thrown or rejected, goes to `handler` and
   * does not end the program.
   */
  onUncaught(handler: (error: unknown) => void): void;
  /**
   * From now on `handler` hears what a server's operator should know of this
   * machine. Absent where there is nothing of the kind.
   */
  readonly onWarning?: (handler: (words: string) => void) => void;
  /** Ends the program. */
  exit(code: number): never;
  /** On our own terminal, which speaks `codec`. */
  editLines(codec: TextCodec): Promise<LineEditor>;
  /** Our own stdin and stdout as one byte stream, for `serve --stdio`. */
  stdio(): Duplex;
  /** Sockets with nothing hidden, for `lab`; loaded when they are wanted. */
  labSockets(): Promise<LabSockets>;
}
