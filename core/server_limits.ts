/**
 * The bounds that a server has besides those of each side.
 *
 * @module
 */

import {
  checkLimit,
  DEFAULT_LIMITS,
  type Limits,
  resolveLimits,
} from "./limits.ts";

/** All bounds of a server. core/LIMITS.md says what happens at each of them. */
export interface ServerLimits extends Limits {
  /** Connections at once, authenticated or not. Default 2,048. */
  readonly maxConnections: number;
  /** Connections at once that have proved nothing yet. Default 500. */
  readonly maxUnauthenticated: number;
  /**
   * From so many connections on that have proved nothing, new ones are dropped
   * at random: `earlyDropPercent` of them at first, all at `maxUnauthenticated`.
   * So a flood cannot keep everybody else out. Default 100.
   */
  readonly earlyDropStart: number;
  /** Percentage of connections dropped at `earlyDropStart`. Default 30. */
  readonly earlyDropPercent: number;
  /** Connections at once of one identity. Default: no limit of its own. */
  readonly maxConnectionsPerIdentity: number;
  /**
   * Sessions at once. One lasts until all it started is gone, so it may outlive
   * its connection. Default 1,024.
   */
  readonly maxSessions: number;
  /** Sessions at once of one identity. Default: no limit of its own. */
  readonly maxSessionsPerIdentity: number;
  /**
   * Commands running at once on one session. A job that outlives its session is
   * none of the next one's. Default: no limit of its own.
   */
  readonly maxCommands: number;
  /**
   * Commands running at once of one identity, on all its sessions and as jobs
   * without one. Default: no limit of its own.
   */
  readonly maxCommandsPerIdentity: number;
  /** Commands running at once of all, jobs included. Default: no limit of its own. */
  readonly maxTotalCommands: number;
  /**
   * What the server may come to hold for the streams and requests of one
   * session, in bytes: it is set aside as each command starts, and a command for
   * which there is no room is refused. One with both outputs takes 393,216, its
   * stdin 327,680 more. Default 512 MiB.
   */
  readonly maxBufferedBytes: number;
  /**
   * The same for all sessions together, and with what their control messages
   * take beyond 65,536 bytes a session each way. Default 2 GiB.
   */
  readonly maxTotalBufferedBytes: number;
  /**
   * A session without an open channel for so long is closed, in milliseconds.
   * Default: never.
   */
  readonly idleTimeoutMs: number;
  /**
   * What was sent and not acknowledged, in bytes of memory, on a session that can
   * be resumed: it is sent again over the next connection. At the limit a session
   * waits. A peer may leave 2 MiB unacknowledged for a moment, so that less makes
   * large transfers stand still for it. Default 32 MiB.
   */
  readonly maxReplayBytes: number;
  /**
   * How long a session whose client can resume waits for another connection after
   * it has lost one, in milliseconds; its commands go on meanwhile. 0: not at all.
   * Default 60,000.
   */
  readonly graceMs: number;
  /**
   * From SIGTERM to SIGKILL for what still runs when its session or the server
   * ends, in milliseconds, if the command itself did not ask for less. Default
   * 10,000.
   */
  readonly shutdownGraceMs: number;
  /**
   * Jobs that a server keeps in all: those that outlive their clients, those that
   * a client named, and what became of all that have ended. Default 4,096.
   */
  readonly maxJobs: number;
  /** The same for one identity. Default 1,024. */
  readonly maxJobsPerIdentity: number;
  /**
   * Bytes on disk of what one job wrote: half of it each where stdout and stderr
   * are two streams. Default 64 MiB.
   */
  readonly maxSpoolBytes: number;
  /** The same for all jobs together. Default 4 GiB. */
  readonly maxTotalSpoolBytes: number;
  /**
   * A job that has ended is forgotten after so long, in milliseconds. Default
   * 604,800,000, a week.
   */
  readonly jobTtlMs: number;
  /** Penalty of a source for a wrong proof, in milliseconds. Default 5,000. */
  readonly penaltyProofMs: number;
  /**
   * Penalty of a source for a connection that ended without a proof, in
   * milliseconds. Default 1,000.
   */
  readonly penaltyNoProofMs: number;
  /**
   * Penalty of a source for a connection that let `handshakeTimeoutMs` pass, in
   * milliseconds. Default 10,000.
   */
  readonly penaltyDeadlineMs: number;
  /**
   * Penalties add up and run off as time passes. A source that has this much is
   * refused, in milliseconds. Default 15,000; `Infinity` for no penalties.
   */
  readonly penaltyThresholdMs: number;
  /** Penalties add up to this at most, in milliseconds. Default 600,000. */
  readonly maxPenaltyMs: number;
  /** Sources remembered; the one heard of longest ago is forgotten. Default 16,384. */
  readonly maxPenaltySources: number;
}

/**
 * The defaults of {@linkcode ServerLimits}. A call that is marked as pure, since
 * bundlers keep an object with a spread in it: a client would carry it.
 */
export const DEFAULT_SERVER_LIMITS: ServerLimits = /* @__PURE__ */ (() => ({
  ...DEFAULT_LIMITS,
  maxConnections: 2_048,
  maxUnauthenticated: 500,
  earlyDropStart: 100,
  earlyDropPercent: 30,
  maxConnectionsPerIdentity: Infinity,
  maxSessions: 1_024,
  maxSessionsPerIdentity: Infinity,
  maxCommands: Infinity,
  maxCommandsPerIdentity: Infinity,
  maxTotalCommands: Infinity,
  maxBufferedBytes: 512 * 1024 * 1024,
  maxTotalBufferedBytes: 2 * 1024 * 1024 * 1024,
  idleTimeoutMs: Infinity,
  maxReplayBytes: 32 * 1024 * 1024,
  graceMs: 60_000,
  shutdownGraceMs: 10_000,
  maxJobs: 4_096,
  maxJobsPerIdentity: 1_024,
  maxSpoolBytes: 64 * 1024 * 1024,
  maxTotalSpoolBytes: 4 * 1024 * 1024 * 1024,
  jobTtlMs: 604_800_000,
  penaltyProofMs: 5_000,
  penaltyNoProofMs: 1_000,
  penaltyDeadlineMs: 10_000,
  penaltyThresholdMs: 15_000,
  maxPenaltyMs: 600_000,
  maxPenaltySources: 16_384,
}))();

/** Less would be dropped before anybody could read it. */
export const MIN_SPOOL_BYTES = 65_536;

/** Fills in defaults and refuses what cannot work. */
export function resolveServerLimits(
  given: Partial<ServerLimits> = {},
): ServerLimits {
  const { graceMs = DEFAULT_SERVER_LIMITS.graceMs, ...others } = given;
  const resolved = resolveLimits(others, DEFAULT_SERVER_LIMITS);
  const limits = { ...resolved, graceMs };
  checkLimit(limits, "graceMs", 0, Infinity);
  checkLimit(limits, "earlyDropPercent", 1, 100);
  checkLimit(limits, "maxSpoolBytes", MIN_SPOOL_BYTES, Infinity);
  return limits;
}
