/**
 * What a server tells of itself.
 *
 * @module
 */

import type { RefusalReason } from "../admission/refusals.ts";
import type { ErrorCode } from "../errors.ts";
import type { ExecEvent } from "../exec/events.ts";

/** Something that happened on a server. */
export type ServerEvent =
  & {
    /** When, in milliseconds since 1970, as `Date.now()` has it. */
    readonly time: number;
    /**
     * Numbers the server's connections; a session has the number of its first one
     * for as long as it lasts.
     */
    readonly session: number;
    /**
     * Where the client is: `127.0.0.1:40312`, `unix`, `stdio`; `unknown` if it had
     * gone before it was accepted.
     */
    readonly peer: string;
    /** Who the client has proved to be; null before. */
    readonly identity: string | null;
  }
  & (
    /**
     * Connections were dropped before anything of them was read. The first is
     * told at once, those after it together, every ten seconds: `session`,
     * `peer` and `message` are those of the last.
     */
    | {
      readonly type: "refused";
      readonly reason: RefusalReason;
      readonly message: string;
      /** Connections refused for this reason since the event before. */
      readonly count: number;
    }
    /**
     * The server has ended without this command, of no session any more: SIGKILL
     * has not ended it, as when it waits for a disk that does not answer; or the
     * spawner has not come back from starting it.
     */
    | {
      readonly type: "command_left";
      readonly jobId: string;
      /** Null if it had not started. */
      readonly pid: number | null;
      /** The program's arguments, or the shell's line as the only element. */
      readonly argv: readonly string[];
      readonly shell: boolean;
    }
    /** What is kept of jobs could not be read or written; of no session. */
    | { readonly type: "jobs_problem"; readonly message: string }
    | { readonly type: "connected" }
    /** The client is known, as `identity` from here on. */
    | { readonly type: "authenticated" }
    /**
     * The session has lost its connection and waits for another one. Its commands
     * go on.
     */
    | {
      readonly type: "suspended";
      /** Why the connection was lost. */
      readonly code: ErrorCode;
      readonly message: string;
      /** For how long, in milliseconds. */
      readonly graceMs: number;
    }
    /** The session goes on over another connection, whose number that is. */
    | {
      readonly type: "resumed";
      readonly connection: number;
      /** For how long it had none, in milliseconds. */
      readonly awayMs: number;
    }
    /** The session is over, or the connection without one; `closed` is the ordinary end. */
    | {
      readonly type: "disconnected";
      readonly code: ErrorCode;
      /** For the log: it may say more than the client was told. */
      readonly message: string;
      /** Whether it had been authenticated. */
      readonly authenticated: boolean;
      /** From the first connection's begin to the end, in milliseconds. */
      readonly durationMs: number;
    }
    | ExecEvent
  );

/** One of them, without what all of them have. */
export type ServerEventBody = ServerEvent extends infer E
  ? E extends unknown ? Omit<E, "time" | "session" | "peer" | "identity">
  : never
  : never;
