/**
 * What the command line needs of the machine it runs on. Each adapter supplies
 * one value of {@linkcode CliRuntime}; the logic above it is the same everywhere.
 *
 * @module
 */

import type {
  Duplex,
  Listener,
  Platform,
  SocketTarget,
  Spawner,
} from "../ports.ts";

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
   * Settles when the bytes are with the OS. Rejects with a `LimpetError`
   * `broken_pipe` when whoever read them has gone (EPIPE).
   */
  write(bytes: Uint8Array): Promise<void>;
}

/** Reads lines from the terminal, with editing and history. */
export interface LineEditor {
  /**
   * Shows the prompt and resolves to the line without its end, or to null at
   * end of input (Ctrl-D on an empty line). Ctrl-C drops the line and prompts
   * again. Only while a read is pending is the terminal in raw mode; between
   * reads Ctrl-C is an ordinary SIGINT.
   */
  read(prompt: string): Promise<string | null>;
  /** Gives the terminal back as it was. */
  close(): void;
}

/** A small file and who may read it. */
export interface FileContents {
  readonly text: string;
  /** Permission bits such as 0o600; null where the system has none. */
  readonly mode: number | null;
}

/** The files the command line touches: the token's, and nothing else yet. */
export interface CliFiles {
  /** Null when there is no such file. Rejects with the OS's error otherwise. */
  read(path: string): Promise<FileContents | null>;
  /**
   * Makes a file of mode 0600, its missing folders 0700. False when the file
   * is there already, which is then left alone. Never half written: whoever
   * finds the file finds all of it.
   */
  createPrivate(path: string, text: string): Promise<boolean>;
}

/** The machine, as the command line sees it. */
export interface CliRuntime {
  /** What follows the program's name. */
  readonly args: readonly string[];
  /** For `--version`: `node 20.20.2`. */
  readonly name: string;
  /** One variable; undefined too where the runtime does not let us look. */
  env(name: string): string | undefined;
  /** The whole environment, for the children of a server. */
  environment(): Record<string, string>;
  /** Windows has other paths, quoting and signals. */
  readonly isWindows: boolean;
  readonly stdin: StandardInput;
  readonly stdout: StandardOutput;
  readonly stderr: StandardOutput;
  /** Listens for one of our own signals; the result stops listening. */
  onSignal(
    name: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGQUIT" | "SIGUSR1" | "SIGUSR2",
    handler: () => void,
  ): () => void;
  /** Ends the program. */
  exit(code: number): never;
  readonly files: CliFiles;
  editLines(): LineEditor;
  dial(target: SocketTarget, signal?: AbortSignal): Promise<Duplex>;
  listen(target: SocketTarget): Promise<Listener>;
  readonly spawner: Spawner;
  /** Our own stdin and stdout as one byte stream, for `serve --stdio`. */
  stdio(): Duplex;
  /** What a server tells its clients. */
  platform(): Platform;
}
