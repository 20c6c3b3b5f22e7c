/**
 * The one error class, and the closed list of its codes.
 *
 * @module
 */

/** Every reason for which something of Limpet's fails. */
export const ERROR_CODES = [
  // Reaching the other side.
  "connection_failed",
  "connection_lost",
  "unauthenticated",
  "version_mismatch",
  "certificate_untrusted",
  "certificate_invalid",
  "certificate_changed",
  "protocol_error",
  "shutting_down",
  "closed",
  // A command that did not start.
  "refused",
  "not_found",
  "not_executable",
  "cwd_not_found",
  "argument_list_too_long",
  "resource_exhausted",
  "spawn_failed",
  "no_such_job",
  // A command that did start.
  "command_failed",
  "timed_out",
  "cancelled",
  "broken_pipe",
  // Anything.
  "write_failed",
  "limit_exceeded",
  "invalid_argument",
  "unsupported",
] as const;

/** One of {@linkcode ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What is known of a command when it fails; the fields a caller branches on. */
export interface CommandFacts {
  /** What the server calls the command; null where that is not known. */
  readonly jobId?: string | null;
  /** The command's own exit code; null when it has none. */
  readonly exitCode?: number | null;
  /** The signal that ended it, `SIGKILL` and the like. */
  readonly signal?: string | null;
  /** Why the server ended it (`timed_out`, …); null if it ended by itself. */
  readonly reason?: string | null;
  /** It was ended because its deadline passed. */
  readonly timedOut?: boolean;
  /** It was ended because the caller's `AbortSignal` fired. */
  readonly isCanceled?: boolean;
  /** Whether every byte that the command wrote has arrived. */
  readonly complete?: boolean;
  /** What arrived of its output, where the call was collecting it. */
  readonly stdout?: Uint8Array;
  /** What arrived of its error output, where the call was collecting it. */
  readonly stderr?: Uint8Array;
}

/**
 * Whatever goes wrong in Limpet. Branch on `code`; `message` is for people and
 * says what was being done and with which value; `cause` is the error beneath.
 */
export class LimpetError extends Error implements CommandFacts {
  override readonly name = "LimpetError";
  declare readonly code: ErrorCode;
  declare readonly jobId: string | null;
  declare readonly exitCode: number | null;
  declare readonly signal: string | null;
  declare readonly reason: string | null;
  declare readonly timedOut: boolean;
  declare readonly isCanceled: boolean;
  declare readonly complete: boolean;
  declare readonly stdout: Uint8Array | undefined;
  declare readonly stderr: Uint8Array | undefined;
  /** Of a handshake that failed: whether the peer had sent nothing until then. */
  declare silent?: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; facts?: CommandFacts } = {},
  ) {
    super(
      message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    Object.assign(this, { code }, NO_FACTS, options.facts);
  }
}

const NO_FACTS: CommandFacts = {
  jobId: null,
  exitCode: null,
  signal: null,
  reason: null,
  timedOut: false,
  isCanceled: false,
  complete: false,
  stdout: undefined,
  stderr: undefined,
};

/**
 * A server drops those who are too many, and those whom it keeps out for a while,
 * without a word; so only we can say what that may mean.
 */
export const DROPPED_ADVICE: string =
  "Perhaps the server is full, or keeps this address out for a while after " +
  "attempts that failed: its log says so";

/** Whether `value` is one of the codes, e.g. in a peer's message. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(value);
}

/** The error itself if it is ours already, otherwise wrapped under `code`. */
export function asLimpetError(
  error: unknown,
  code: ErrorCode,
  doing: string,
): LimpetError {
  if (error instanceof LimpetError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new LimpetError(code, `${doing}: ${detail}`, { cause: error });
}
