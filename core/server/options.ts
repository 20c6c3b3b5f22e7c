/**
 * How to serve.
 *
 * @module
 */

import type { Authenticator } from "../auth/authenticator.ts";
import type { Authorize } from "../exec/authorized.ts";
import type { JobFiles, Platform, Spawner } from "../ports.ts";
import type { ServerLimits } from "../server_limits.ts";
import type { Encodings } from "../text/mod.ts";
import type { ServerEvent } from "./event.ts";

/** How to serve. */
export interface ServeOptions {
  /**
   * The secret shared with the clients, at least 16 bytes; who has it is the
   * identity `default`. Either this or `authenticator`.
   */
  readonly token?: string;
  /** Who may connect, where there are several: `Identities`. */
  readonly authenticator?: Authenticator;
  readonly spawner: Spawner;
  /** What commands inherit; variables named `LIMPET_*` are taken out. */
  readonly environment: () => Record<string, string>;
  /** What clients are told of this machine. */
  readonly platform: Platform;
  /**
   * Knows how to write the platform's encoding, for commands whose text is not
   * ASCII, or loads who does when it is first needed: `iconv` of `limpet/iconv`.
   * Without it, text that is not ASCII is refused unless it goes as UTF-8.
   */
  readonly encodings?: Encodings | (() => Promise<Encodings>);
  /** Bounds on what clients can make us hold; see `ServerLimits`. */
  readonly limits?: Partial<ServerLimits>;
  /**
   * Asked before each connection and each command is taken; rejects to refuse
   * it. For an audit log that must be complete.
   */
  readonly gate?: () => Promise<void>;
  /**
   * Decides each request to run a command, whatever it comes over:
   * `policyAuthorizer`, or your own. Default: who is let in may run anything that
   * this program's user may. What it decides after the session's end, and what
   * `gate` does, counts for nothing: neither holds up an end.
   */
  readonly authorize?: Authorize;
  /**
   * Where commands that outlive their clients are kept: a folder of this server
   * alone, which is made when it is needed. Default: there are none.
   */
  readonly jobs?: JobsFolder;
  /** Told of everything that happens. Must not throw. */
  readonly onEvent?: (event: ServerEvent) => void;
}

/** A folder for what jobs write, and what became of them. */
export interface JobsFolder {
  readonly files: JobFiles;
  /**
   * Its path. Where a server that runs has it, `path.2` is taken, and so on.
   */
  readonly path: string;
  /** Opened at once, by `Server.ready`, and not when needed. Default false. */
  readonly eager?: boolean;
}

/** Tells of something that happened. */
export function report({ onEvent }: ServeOptions, event: ServerEvent): void {
  try {
    onEvent?.(event);
  } catch {
    // It was told not to throw, and a command is not to pay for it.
  }
}
