/**
 * What a session needs of whatever carries its frames. The plain link is one
 * connection; a link that survives its connections has the same face.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Frame } from "../frame/frame.ts";

/** Who gets what a link receives. Neither method is called after `ended`. */
export interface LinkReceiver {
  /**
   * One frame, or a piece of one of which `whole` is the last; in order. What it
   * throws ends the link with that error. Returns true if nobody looks at the
   * payload any more.
   */
  frame(frame: Frame, whole: boolean): true | void;
  /** The link is over: null after the peer's clean end, else what went wrong. */
  ended(error: LimpetError | null): void;
}

/** The error for a peer that ended the connection between two frames. */
export function endedEarly(peer: string): LimpetError {
  return new LimpetError(
    "connection_lost",
    `Connection to ${peer} was lost: it ended without a goodbye`,
  );
}

/** Frames both ways, in order, each exactly once, until it ends. */
export interface Link {
  /** Where the peer is, for messages. */
  readonly peer: string;
  /**
   * When bytes last came from it, as `performance.now()` has it; just now while
   * there is no connection that could be silent.
   */
  readonly heardAt: number;
  /** Whether it waits for another connection, so that nobody hears anything. */
  readonly suspended?: boolean;
  /** The peer has said CLOSE: there is nothing to answer. Set by the session. */
  dismissed: boolean;
  /** Begins to deliver frames. To be called once. */
  start(receiver: LinkReceiver): void;
  /**
   * Sends frames. Settles when the link can take more, and until then keeps
   * views of their payloads. At most one call under way.
   */
  send(frames: readonly Frame[]): Promise<void>;
  /**
   * Nothing comes over the connection any more. True if the link takes care of
   * that itself.
   */
  lost?(error: LimpetError): true;
  /** The session is over: only last words come now, and over this connection. */
  finishing?(): void;
  /**
   * Ends our side, waits a second at most for the peer to end its own, and
   * gives the transport up. Never rejects.
   */
  close(): Promise<void>;
  /** Gives the transport up at once, unsent bytes included. */
  abort(reason: LimpetError): void;
}
