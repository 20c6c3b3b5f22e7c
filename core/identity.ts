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

/** Who has proved themselves, and with what. */
export interface Proven {
  readonly identity: Identity;
  /**
   * What it was proved with, as 24 hex digits: the same for the same token or key
   * pair alone, and no secret. Whose jobs are whose is a matter of it, for a name
   * may be given to somebody else. Default: of the name alone.
   */
  readonly key?: string;
  /**
   * Whoever is let in by this name is the same, whatever they prove it with: there
   * is one token, and it may be replaced. Default false.
   */
  readonly isSole?: boolean;
}

/**
 * Why an identity is no longer let in, as far as anybody knows: words that its
 * clients are told, and what the server's own events say besides.
 */
export type WhyGone =
  | string
  | true
  | { readonly told: string; readonly logged: string };
