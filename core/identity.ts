/**
 * Who is at the other end of a connection.
 *
 * @module
 */

/** One of those whom a server knows. */
export interface Identity {
  /** As the server's configuration calls it; `default` where there is one token. */
  readonly name: string;
}
