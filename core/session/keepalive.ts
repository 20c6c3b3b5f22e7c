/**
 * Noticing a peer that has gone without a word.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Limits } from "../limits.ts";

/** Whom {@linkcode keepAlive} watches. */
export interface Watched {
  /** Where the peer is, for the message. */
  readonly peer: string;
  /** When bytes last came from it, as `performance.now()` has it. */
  readonly heardAt: number;
}

/** What {@linkcode keepAlive} does about them. */
export interface KeepaliveActions {
  /** Asks for a sign of life. */
  ping(): void;
  /** There was none: `connection_lost`. */
  lost(error: LimpetError): void;
}

/**
 * Asks for a sign of life after each `keepaliveMs` without a byte, and gives the
 * peer up after `keepaliveCount` times that. A peer from which bytes come is
 * never asked. Time in which this program itself stood still counts once at
 * most: the peer has its chance to answer afterwards. Goes on after a loss, for
 * there may be another connection. Returns how to end it.
 */
export function keepAlive(
  watched: Watched,
  { keepaliveMs, keepaliveCount }: Limits,
  { ping, lost }: KeepaliveActions,
): () => void {
  let seen = -1;
  let silences = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    const { heardAt, peer } = watched;
    const silentMs = performance.now() - heardAt;
    if (heardAt !== seen) silences = 0;
    seen = heardAt;
    const asked = silences > 0 || silentMs >= keepaliveMs;
    timer = setTimeout(look, asked ? keepaliveMs : keepaliveMs - silentMs);
    if (!asked) return;
    if (++silences < keepaliveCount) return ping();
    silences = 0;
    lost(
      new LimpetError(
        "connection_lost",
        `Connection to ${peer} was lost: it has been silent for ` +
          `${Math.round(silentMs)} ms`,
      ),
    );
  };
  // What no timer can be set for is never.
  if (keepaliveMs <= 0x7fff_ffff) look();
  return () => clearTimeout(timer);
}
