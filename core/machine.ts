/**
 * A machine that connects and serves: what an adapter gives `connect` and
 * `serve` so that they take addresses and find the token by themselves.
 *
 * @module
 */

import type {
  Duplex,
  JobFiles,
  Listener,
  LogFile,
  Platform,
  SocketTarget,
  Spawner,
} from "./ports.ts";
import type { Validity } from "./tls/failure.ts";
import type { TlsDialOptions, TlsListenOptions } from "./tls/options.ts";

/** Whose a file or a folder is, and what they and others may do with it. */
export interface FileAccess {
  /** Permission bits such as 0o1755; null where the system has none. */
  readonly mode: number | null;
  /** Null where the system does not say. */
  readonly owner: "self" | "root" | "other" | null;
}

/** A small file: what it says, and who may read or change just that. */
export interface FileContents extends FileAccess {
  readonly text: string;
}

/** Who may change a file or what is in a folder, and which version it is. */
export interface FileStatus extends FileAccess {
  /** Another one as soon as the file is another one or has been changed. */
  readonly version: string;
  readonly isFolder: boolean;
}

/** The files Limpet touches by itself: the token's, and a server's own. */
export interface Files {
  /** Null when there is no such file. Rejects with the OS's error, in words. */
  read(path: string): Promise<FileContents | null>;
  /**
   * Makes a file of mode 0600, its missing folders 0700. False when the file
   * is there already, which is then left alone. Never half written: whoever
   * finds the file finds all of it.
   */
  createPrivate(path: string, text: string): Promise<boolean>;
  /**
   * Writes a file of mode 0600 in the place of whatever is there: whoever reads
   * it finds all of the old one or all of the new one, after a power failure
   * too. Its owner stays, where we may see to that. A symbolic link stays one.
   */
  replacePrivate(path: string, text: string): Promise<void>;
  /** Null when there is nothing. Rejects with the OS's error, in words. */
  status(path: string): Promise<FileStatus | null>;
  /** Removes a file; false when there is none. */
  remove(path: string): Promise<boolean>;
  /** The path without symbolic links and `..`; null if it leads nowhere. */
  realPath(path: string): Promise<string | null>;
  /**
   * Opens a file to add to; made with mode 0600 if it is not there. Rejects with
   * `write_failed`, and so do writes, in words that say what to do.
   */
  openLog(path: string): Promise<LogFile>;
}

/** A listener whose certificate can be exchanged, if it has one. */
export interface MachineListener extends Listener {
  /**
   * Meets new connections with this from now on; those that are open stay as they
   * are. Rejects with `invalid_argument` if it cannot be used, and nothing
   * changes. Absent where there is no TLS.
   */
  readonly renewTls?: (tls: TlsListenOptions) => Promise<void>;
}

/** See the module's description. */
export interface Machine {
  /** One variable; undefined too where the runtime does not let us look. */
  env(name: string): string | undefined;
  /** The whole environment, for the children of a server. */
  environment(): Record<string, string>;
  /** Whether we are root, which nobody is on Windows; null if we may not know. */
  isRoot(): boolean | null;
  /** Windows has other paths, quoting and signals. */
  readonly isWindows: boolean;
  readonly files: Files;
  /** For what jobs write, and what became of them. */
  readonly jobFiles: JobFiles;
  /** `tls` is what a target `tls://` needs and no other. */
  dial(
    target: SocketTarget,
    signal?: AbortSignal,
    tls?: TlsDialOptions,
  ): Promise<Duplex>;
  listen(
    target: SocketTarget,
    tls?: TlsListenOptions,
  ): Promise<MachineListener>;
  /**
   * When a server's certificate is good. Rejects with `invalid_argument` if it,
   * its key or the clients' authorities cannot be used for TLS.
   */
  inspectTls(tls: TlsListenOptions): Promise<Validity>;
  readonly spawner: Spawner;
  /** What a server tells its clients. */
  platform(): Platform;
}
