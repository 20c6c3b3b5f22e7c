/**
 * What a server tells whoever embeds it about commands.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts";
import type { CommandStatus } from "./exit.ts";

/** What a client asked for, as far as others may know of it. */
export interface RequestFacts {
  /** The program's arguments, or the shell's line as the only element. */
  readonly argv: readonly string[];
  /** Whether it is a line for the shell. */
  readonly shell: boolean;
  /** The working directory that was asked for; null for the server's. */
  readonly cwd: string | null;
  /** The names of the client's variables; their values are told to nobody. */
  readonly env: readonly string[];
  /** Where the command belongs in the client's trace (W3C Trace Context). */
  readonly traceparent: string | null;
}

/** Bytes that crossed between a command and its channel. */
export interface CommandBytes {
  /** Written into the command's stdin, but for a write that it cut off. */
  readonly stdin: number;
  /** Read from the command for the client, whether or not that took it all. */
  readonly stdout: number;
  readonly stderr: number;
}

/** One event of one command; `command` numbers them within their session. */
export type ExecEvent =
  | {
    readonly type: "command_started";
    readonly command: number;
    /** What the command is called among all of its identity's. */
    readonly jobId: string;
    readonly pid: number;
    /**
     * What the client asked for, if `argv` is something else, which runs in its
     * place (a forced command); null if not.
     */
    readonly requested: readonly string[] | null;
    /** Whether that is a line for the shell, as `shell` is of `argv`. */
    readonly requestedShell: boolean | null;
  } & RequestFacts
  /** `argv` and its like are missing where the request could not be read. */
  | {
    readonly type: "command_refused";
    readonly command: number;
    readonly code: ErrorCode;
    readonly message: string;
  } & Partial<RequestFacts>
  /** The client sent a signal. */
  | {
    readonly type: "command_signalled";
    readonly command: number;
    readonly jobId?: string | undefined;
    readonly signal: string;
    /** Whether SIGKILL follows for what is left after the grace. */
    readonly terminate: boolean;
  }
  /**
   * The command has ended, and so have its streams: a reader that is slow holds
   * it back, for the totals are not known before.
   */
  | {
    readonly type: "command_ended";
    readonly command: number;
    readonly jobId?: string | undefined;
    readonly status: CommandStatus;
    readonly bytes: CommandBytes;
    /** From the process's start to its end, in milliseconds. */
    readonly durationMs: number;
  }
  /** A client reads, or feeds, a job that may have been started by another one. */
  | {
    readonly type: "job_attached";
    /** The channel's number in this session. */
    readonly command: number;
    readonly jobId: string;
  }
  /** A client had all that is kept of a job removed. */
  | {
    readonly type: "job_removed";
    readonly command: number;
    readonly jobId: string;
  };
