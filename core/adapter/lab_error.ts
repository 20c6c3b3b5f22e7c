/**
 * The lab's own errors, which both adapters would otherwise write twice.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { describe, type OsError } from "./os_error.ts";

/** A socket of the lab was closed while, or before, somebody waited for it. */
export function closedError(doing: string): LimpetError {
  return new LimpetError("closed", `Cannot ${doing}: the socket is closed`);
}

/** A datagram did not leave; `limit` is what a datagram holds, in bytes. */
export function datagramError(
  bytes: number,
  limit: number,
  error: OsError,
): LimpetError {
  const tooLarge = error.code === "EMSGSIZE";
  const detail = tooLarge
    ? `it holds ${limit} at most (EMSGSIZE); send less at once, or use TCP`
    : describe(error);
  return new LimpetError(
    tooLarge ? "limit_exceeded" : "connection_failed",
    `Cannot send a datagram of ${bytes} bytes: ${detail}`,
    { cause: error.cause },
  );
}
