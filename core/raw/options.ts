/**
 * How the raw protocol is served, and what is told of it.
 *
 * @module
 */

import type { Console } from "../exec/console_text.ts";
import type { CommandStatus } from "../exec/exit.ts";
import type { Spawner } from "../ports.ts";
import type { Encodings } from "../text/mod.ts";

/** Something that happened on a raw server. `session` numbers connections. */
export type RawServerEvent =
  & { readonly session: number; readonly peer: string }
  & (
    | { readonly type: "connected" }
    | { readonly type: "disconnected"; readonly message: string }
    /** Its first bytes were no command, but this; nothing was run. */
    | { readonly type: "turned_away"; readonly sent: string }
    /** There are as many connections as there may be; nothing was read. */
    | { readonly type: "too_many"; readonly maxConnections: number }
    | {
      readonly type: "command_started";
      readonly pid: number;
      readonly line: string;
    }
    | { readonly type: "command_refused"; readonly message: string }
    | { readonly type: "command_ended"; readonly status: CommandStatus }
  );

/** One that has not been given its connection yet. */
export type RawEventBody = RawServerEvent extends infer E
  ? E extends unknown ? Omit<E, "session" | "peer"> : never
  : never;

/** How to serve the raw protocol. */
export interface RawServeOptions {
  readonly spawner: Spawner;
  /** What commands inherit; variables named `LIMPET_*` are taken out. */
  readonly environment: () => Record<string, string>;
  /**
   * What commands come in, and what the shell is to get them in. Default UTF-8.
   * Answers go as they are.
   */
  readonly console?: Omit<Console, "encodings"> & {
    readonly encodings?: Encodings;
  };
  /**
   * From SIGTERM to SIGKILL for commands whose client has gone, or when the
   * server ends, in milliseconds. Default 10,000.
   */
  readonly graceMs?: number;
  /**
   * Connections at once. One more is told so and closed. Nobody has to prove
   * anything to connect, and each may have a command run and its stderr kept.
   * Default 32.
   */
  readonly maxConnections?: number;
  /**
   * Stderr kept until stdout is over, in bytes on each connection. A command
   * that writes more is ended. Default 16 MiB, which is 512 MiB on all of them.
   */
  readonly maxStderrBytes?: number;
  /**
   * A client that has ended its side may still read (`nc -N`), or may have gone:
   * from here that looks the same until something is sent to it. So does one
   * that sent so much ahead (64 KiB) that its end would lie behind it. A command
   * that sends nothing for so long is then ended, in milliseconds. Default 5,000.
   */
  readonly silenceMs?: number;
  /**
   * How long first bytes that may be the beginning of an HTTP request, as
   * `ls /tmp` may, wait for the rest of it before they are run, in milliseconds.
   * Default 200.
   */
  readonly doubtMs?: number;
  /** Told of everything that happens. Must not throw. */
  readonly onEvent?: (event: RawServerEvent) => void;
}

/** See `RawServeOptions.maxConnections`. */
export const DEFAULT_MAX_CONNECTIONS = 32;
