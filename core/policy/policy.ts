/**
 * What one identity may run.
 *
 * @module
 */

/**
 * What is not allowed here is refused. Every part that is missing allows
 * nothing of its kind, except for `stdin` and the bounds.
 */
export interface Policy {
  /**
   * Patterns of argument lists, one pattern a word; see `pattern.ts`. Default:
   * none, so that no program may be run.
   */
  readonly commands?: readonly (readonly string[])[];
  /** Whether lines for the shell may be run, whatever they say. Default false. */
  readonly shell?: boolean;
  /**
   * What is run in place of whatever is asked for: an argument list, or a line
   * for the shell. What was asked for is in `LIMPET_ORIGINAL_COMMAND`, as JSON: a
   * list of strings, or a string for a line. Not with `commands` or `shell`.
   */
  readonly forced?: readonly string[] | string;
  /**
   * Directories that commands may start in, and in everything below; the first
   * one is the default. It says where a command starts, not where it may go.
   * Default: none may be asked for, and they start in the server's own.
   */
  readonly cwd?: readonly string[];
  /**
   * Variables that the client may set: names, or beginnings of names with a `*`.
   * Default: none. See `environment.ts` for those that no `*` covers; with
   * `runAs` they cannot be set at all.
   */
  readonly env?: readonly string[];
  /** Whether a command may have input. Default true. */
  readonly stdin?: boolean;
  /**
   * Whether a command may outlive its client. Default false: what nobody looks
   * after any more is not among the usual.
   */
  readonly detach?: boolean;
  /** Commands of this identity at once, over all its sessions. */
  readonly maxCommands?: number;
  /** Commands are ended after this long, in milliseconds. */
  readonly maxRuntimeMs?: number;
  /** Commands are ended when stdout and stderr together have more bytes. */
  readonly maxOutputBytes?: number;
  /** The user that commands run as, by name or number. Default: the server's. */
  readonly runAs?: string;
}
