/**
 * What becomes of a request once it has been decided whether it may be run.
 *
 * @module
 */

import type { Identity } from "../identity.ts";
import type { ExecRequest } from "./request.ts";

/** What can be known of a request besides itself. */
export interface AuthorizeFacts {
  /** The connection's number, as in the events. */
  readonly session: number;
  /** Where the client is: `127.0.0.1:40312`, `unix`, `stdio`. */
  readonly peer: string;
  /**
   * Commands of this identity that run or are about to, over all its sessions,
   * without this one.
   */
  readonly running: number;
}

/** A request that may be run, and within which bounds. */
export interface Authorized {
  /**
   * What is run: the request, or one made from it. Its streams stay those that
   * the client asked for.
   */
  readonly request: ExecRequest;
  /** What the command inherits, made from what it would inherit otherwise. */
  readonly environment?: (
    inherited: Readonly<Record<string, string>>,
  ) => Record<string, string>;
  /** Words in front of the program: a program that becomes it. */
  readonly wrapper?: readonly string[];
  /** The command is ended after this long, in milliseconds. */
  readonly maxRuntimeMs?: number;
  /** The command is ended when stdout and stderr together have more bytes. */
  readonly maxOutputBytes?: number;
  /**
   * Whether what it leaves in its process group ends with it. Default: with the
   * session.
   */
  readonly endsLeftovers?: boolean;
}

/**
 * Decides whether an identity may run a request. Throws a `LimpetError` with the
 * code `refused`, whose message tells the client which rule it is, or rejects
 * with one. Whatever else it throws is a refusal too.
 */
export type Authorize = (
  identity: Identity,
  request: ExecRequest,
  facts: AuthorizeFacts,
) => Authorized | Promise<Authorized>;
