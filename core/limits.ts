/**
 * Every bound on what a peer can make us hold, with its default.
 *
 * @module
 */

import { LimpetError } from "./errors.ts";

/** The bounds of one side. What a peer announces never raises our own. */
export interface Limits {
  /** Largest frame payload accepted, in bytes. Default 65,536. */
  readonly maxFrameBytes: number;
  /**
   * Largest control message accepted after authentication, in bytes, when it
   * comes in parts. Room for the longest argv that Linux takes. Default 4 MiB.
   */
  readonly maxControlBytes: number;
  /** Bytes a peer may send on one stream ahead of its reader. Default 262,144. */
  readonly windowBytes: number;
  /** Channels open at once on one session. Default 4,096. */
  readonly maxChannels: number;
  /** Commands running at once on one session. Default: no limit of its own. */
  readonly maxCommands: number;
  /** From connection to proof of the token, in milliseconds. Default 10,000. */
  readonly handshakeTimeoutMs: number;
  /**
   * From SIGTERM to SIGKILL for what still runs when its session or the server
   * ends, in milliseconds, if the command itself did not ask for less. Default
   * 10,000.
   */
  readonly shutdownGraceMs: number;
  /** Bytes of control frames waiting to be sent before we give up. Default 8 MiB. */
  readonly maxQueuedControlBytes: number;
}

/** The defaults of {@linkcode Limits}. */
export const DEFAULT_LIMITS: Limits = {
  maxFrameBytes: 65_536,
  maxControlBytes: 4 * 1024 * 1024,
  windowBytes: 262_144,
  maxChannels: 4_096,
  maxCommands: Infinity,
  handshakeTimeoutMs: 10_000,
  shutdownGraceMs: 10_000,
  maxQueuedControlBytes: 8 * 1024 * 1024,
};

/** Largest payload before the peer has proved its token: HELLO and PROOF fit. */
export const MAX_HANDSHAKE_FRAME_BYTES = 16_384;

/** Smallest frame limit a side may announce: every handshake frame must fit. */
export const MIN_FRAME_BYTES = 1_024;

/** Fills in defaults and refuses what cannot work. */
export function resolveLimits(given: Partial<Limits> = {}): Limits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    const whole = Number.isSafeInteger(value) || value === Infinity;
    if (!whole || value < 1) {
      throw new LimpetError(
        "invalid_argument",
        `Limit ${name} must be a whole number above 0, not ${value}`,
      );
    }
  }
  for (const name of ["maxFrameBytes", "windowBytes"] as const) {
    if (limits[name] < MIN_FRAME_BYTES || limits[name] > 0x7fff_ffff) {
      throw new LimpetError(
        "invalid_argument",
        `Limit ${name} must be between ${MIN_FRAME_BYTES} and 2147483647, ` +
          `not ${limits[name]}`,
      );
    }
  }
  return limits;
}
