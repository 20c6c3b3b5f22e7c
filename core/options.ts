/**
 * How to run a command.
 *
 * @module
 */

import type { Input } from "./exec/output.ts";
import type { OnDisconnect } from "./exec/request.ts";

/** How to run a command. */
export interface SpawnOptions {
  /** The program's arguments. Not with `shell`. */
  readonly args?: readonly string[];
  /** The command is a line for the server's shell. Default false. */
  readonly shell?: boolean;
  /** Working directory. Default: the server's. */
  readonly cwd?: string;
  /** Variables, added to the server's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default `"null"`: the command reads an end of file at once. */
  readonly stdin?: "piped" | "null";
  /** Default `"piped"`. */
  readonly stdout?: "piped" | "null";
  /** Default `"piped"`. */
  readonly stderr?: "piped" | "null";
  /**
   * The encoding of the command's text: of its arguments or its line, of a string
   * given as `stdin`, and of what `text()` and `lines()` read. Default: the
   * server's console (`session.platform.encoding`). Streams are always bytes.
   */
  readonly encoding?: string;
  /** Send stderr into stdout at the server, which keeps their order. */
  readonly merge?: boolean;
  /** The server ends the command after this long, in ms. Default: never. */
  readonly timeoutMs?: number;
  /** From SIGTERM to SIGKILL whenever we end it, in ms. Default 5,000. */
  readonly killAfterMs?: number;
  /**
   * How long to wait for output that the command left behind to others, in ms
   * (`sleep 100 & echo hi`). Default 1,000.
   */
  readonly drainMs?: number;
  /**
   * Where the command belongs in the caller's trace (W3C Trace Context): the
   * command finds it in `TRACEPARENT`, the server's events and audit log have it.
   * What does not follow the standard's grammar is dropped there.
   */
  readonly traceparent?: string;
  /**
   * What the command is to be called: 1 to 64 of `A-Z a-z 0-9 . _ -`, of which
   * `.` and `-` are not the first. It then starts once only: asked for again with
   * the same options it is the same command, if it outlives its client, and with
   * others it is refused. Default: the server finds a name.
   */
  readonly jobId?: string;
  /**
   * What becomes of the command when this session is over. It ends (`kill`, the
   * default); or it goes on, and can be attached to. Then the server keeps what it
   * writes, within a bound, beyond which it waits until somebody has taken some
   * (`keep`), or loses the middle of it (`detach`).
   */
  readonly onDisconnect?: OnDisconnect;
  /** Ends the command as `terminate()` does. */
  readonly signal?: AbortSignal;
}

/** How to run a command and collect what it writes. */
export interface OutputOptions extends Omit<SpawnOptions, "stdin"> {
  /** What the command reads. Default: nothing. */
  readonly stdin?: Input;
  /** Bytes kept of each stream. Default 64 MiB; `truncated` tells of more. */
  readonly maxBytes?: number;
}
