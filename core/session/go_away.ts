/**
 * GOAWAY: the server takes no more commands, and lets those that run end by
 * themselves. PROTOCOL.md, "The end of a session".
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { decodeControl } from "../frame/control.ts";

/** What a server that is going away says. */
export interface GoingAway {
  /** What `spawn` throws from now on: `shutting_down`. */
  readonly reason: LimpetError;
  /** How long what runs may go on, in ms; undefined if the server did not say. */
  readonly drainMs: number | undefined;
}

/** Reads a GOAWAY, or throws `protocol_error`. */
export function readGoAway(payload: Uint8Array, peer: string): GoingAway {
  const fields = decodeControl(payload, "GOAWAY");
  fields.text("code", 100);
  const message = fields.message("message");
  return {
    reason: new LimpetError(
      "shutting_down",
      `${peer} takes no more commands: ${message}`,
    ),
    drainMs: fields.has("drainMs") ? fields.integer("drainMs") : undefined,
  };
}
