/**
 * Who is at the other end of a connection.
 *
 * @module
 */

/** One of those whom a server knows. */
export interface Identity {
  /** As the server's configuration calls it; `default` where there is one token. */
  readonly name: string;
  /**
   * How long a session of theirs waits for another connection after it has lost
   * one, in ms; 0 for not at all. Default: the server's limit `graceMs`.
   */
  readonly graceMs?: number;
}
