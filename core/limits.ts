/**
 * Every bound on what a peer can make us hold, with its default.
 *
 * @module
 */

import { LimpetError } from "./errors.ts";

/**
 * The bounds of one side. What a peer announces never raises our own. A server
 * has more of them: `ServerLimits`. core/LIMITS.md has all in a table. `Infinity`
 * is no limit.
 */
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
  /**
   * What the windows of a session may grow by, all together, in bytes: that of a
   * stream whose reader is faster than the line is quick grows, so that it is
   * not held up. Default 24 MiB, less than the spool of a job's output: what its
   * client has taken is known then, and nothing else is let go; 0 for none.
   */
  readonly maxWindowGrowthBytes: number;
  /** Channels open at once on one session. Default 4,096. */
  readonly maxChannels: number;
  /** From connection to proof of the token, in milliseconds. Default 10,000. */
  readonly handshakeTimeoutMs: number;
  /**
   * Memory of control frames that wait to be sent, in bytes. A peer that makes
   * us answer and does not read is given up. Default 8 MiB.
   */
  readonly maxQueuedControlBytes: number;
  /**
   * After so long without a byte from the peer it gets a PING, in milliseconds.
   * Default 15,000; `Infinity` for none.
   */
  readonly keepaliveMs: number;
  /**
   * After so many times `keepaliveMs` without a byte the session is lost. At
   * least 2, so that one PING at least could have been answered. Default 3.
   */
  readonly keepaliveCount: number;
}

/** The defaults of {@linkcode Limits}. */
export const DEFAULT_LIMITS: Limits = {
  maxFrameBytes: 65_536,
  maxControlBytes: 4_194_304,
  windowBytes: 262_144,
  maxWindowGrowthBytes: 25_165_824,
  maxChannels: 4_096,
  handshakeTimeoutMs: 10_000,
  maxQueuedControlBytes: 8_388_608,
  keepaliveMs: 15_000,
  keepaliveCount: 3,
};

/** Largest payload before the peer has proved its token: HELLO and PROOF fit. */
export const MAX_HANDSHAKE_FRAME_BYTES = 16_384;

/** Smallest frame limit a side may announce: every handshake frame must fit. */
export const MIN_FRAME_BYTES = 1_024;

/** Fills in defaults and refuses what cannot work. */
export function resolveLimits<T extends Limits = Limits>(
  given: Partial<T> = {},
  defaults: T = DEFAULT_LIMITS as T,
): T {
  const limits = { ...defaults, ...given };
  for (const name of Object.keys(limits)) {
    const [min, max] = RANGES[name] ?? [1, Infinity];
    checkLimit(limits, name, min, max);
  }
  return limits;
}

/** Those with other bounds than 1 and none. */
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  maxFrameBytes: [MIN_FRAME_BYTES, 0x7fff_ffff],
  windowBytes: [MIN_FRAME_BYTES, 0x7fff_ffff],
  // Both together stay below what the protocol allows: windows double.
  maxWindowGrowthBytes: [0, 1_000_000_000],
  keepaliveCount: [2, Infinity],
};

/** Throws `invalid_argument` unless it is a whole number in that range. */
export function checkLimit(
  limits: object,
  name: string,
  min: number,
  max: number,
): void {
  // Types are gone at run time.
  const value = (limits as Record<string, number>)[name];
  const whole = Number.isSafeInteger(value) || value === Infinity;
  if (whole && value >= min && value <= max) return;
  throw new LimpetError(
    "invalid_argument",
    `Limit ${name} must be a whole number from ${min} to ${max}, not ${value}`,
  );
}
