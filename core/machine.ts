/**
 * A machine that connects and serves: what an adapter gives `connect` and
 * `serve` so that they take addresses and find the token by themselves.
 *
 * @module
 */

import type {
  Duplex,
  Listener,
  Platform,
  SocketTarget,
  Spawner,
} from "./ports.ts";

/** A small file and who may read it. */
export interface FileContents {
  readonly text: string;
  /** Permission bits such as 0o600; null where the system has none. */
  readonly mode: number | null;
}

/** The files Limpet touches by itself: the token's, and nothing else yet. */
export interface Files {
  /** Null when there is no such file. Rejects with the OS's error otherwise. */
  read(path: string): Promise<FileContents | null>;
  /**
   * Makes a file of mode 0600, its missing folders 0700. False when the file
   * is there already, which is then left alone. Never half written: whoever
   * finds the file finds all of it.
   */
  createPrivate(path: string, text: string): Promise<boolean>;
}

/** See the module's description. */
export interface Machine {
  /** One variable; undefined too where the runtime does not let us look. */
  env(name: string): string | undefined;
  /** The whole environment, for the children of a server. */
  environment(): Record<string, string>;
  /** Windows has other paths, quoting and signals. */
  readonly isWindows: boolean;
  readonly files: Files;
  dial(target: SocketTarget, signal?: AbortSignal): Promise<Duplex>;
  listen(target: SocketTarget): Promise<Listener>;
  readonly spawner: Spawner;
  /** What a server tells its clients. */
  platform(): Platform;
}
