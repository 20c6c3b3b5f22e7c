/**
 * Who is let in: decided before anything is read, and again once it is known
 * who it is.
 *
 * @module
 */

import { counted } from "../counted.ts";
import type { ErrorCode } from "../errors.ts";
import type { ServerLimits } from "../server_limits.ts";
import { dropsEarly } from "./early_drop.ts";
import { Penalties } from "./penalties.ts";
import type { Refusal } from "./refusals.ts";
import { Seats } from "./seats.ts";
import { sourceOf } from "./source.ts";

/** Where an {@linkcode Admission} has its time and its chance from. */
export interface Chance {
  /** Milliseconds, never going back. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
}

/**
 * So many ways back into one session may come to nothing at no cost at the same
 * moment: twice as many as our client tries at once (`core/link/attempts.ts`).
 */
const FREE_ATTEMPTS = 6;

/** One connection that was let in. The admission alone writes to it. */
export interface Visit {
  readonly source: string | null;
  proved: boolean;
  /** How to give back what its identity has of the limits. */
  connection: (() => void) | null;
  session: (() => void) | null;
}

/** See the module's description. One per server. */
export class Admission {
  readonly #limits: ServerLimits;
  readonly #chance: Chance;
  readonly #penalties: Penalties;
  /** Of sessions, for ways back that came to nothing. */
  readonly #attempts: Penalties;
  /** What each of those costs, in ms: three of them run off in one's time. */
  readonly #attemptMs: number;
  readonly #connections: Seats;
  readonly #sessions: Seats;
  #present = 0;
  #unauthenticated = 0;

  constructor(
    limits: ServerLimits,
    chance: Chance = { now: () => performance.now(), random: Math.random },
  ) {
    this.#limits = limits;
    this.#chance = chance;
    this.#penalties = new Penalties(limits, chance.now);
    this.#attemptMs = Math.floor(limits.handshakeTimeoutMs / 3);
    this.#attempts = new Penalties({
      penaltyThresholdMs: FREE_ATTEMPTS * this.#attemptMs,
      maxPenaltyMs: Infinity,
      maxPenaltySources: limits.maxPenaltySources,
    }, chance.now);
    const each = limits.maxConnectionsPerIdentity;
    this.#connections = new Seats(
      { name: "maxConnections", max: Infinity },
      { name: "maxConnectionsPerIdentity", max: each },
    );
    this.#sessions = new Seats(
      { name: "maxSessions", max: limits.maxSessions },
      { name: "maxSessionsPerIdentity", max: limits.maxSessionsPerIdentity },
    );
  }

  /** A connection has come. Costs nothing that grows with its bytes. */
  admit(peer: string): Visit | Refusal {
    const source = sourceOf(peer);
    return this.#refusal(source) ?? this.#enter(source);
  }

  /** It is known who it is. Throws `limit_exceeded` if they have too many. */
  prove(visit: Visit, identity: string): void {
    this.proveAgain(visit, identity);
    visit.session = this.#sessions.take(identity);
  }

  /** The same for one whose session has its place already. */
  proveAgain(visit: Visit, identity: string): void {
    if (visit.proved) return;
    this.#proved(visit);
    visit.connection = this.#connections.take(identity);
  }

  /**
   * Its handshake has failed, for this reason. `session` is the key of one that is
   * there and that it wanted to resume: then it may be the line's fault alone that
   * the proof did not come. While a line is bad a client tries again and again,
   * three at a time, and all but one of them come to nothing. These are charged to
   * the session and not to the address, which other clients may share. Only so
   * many, though, at the rate at which an honest client can go on (three for each
   * `handshakeTimeoutMs`): the key is no secret on a line without TLS, and who has
   * only seen it must not get connections for nothing. Beyond that they cost what
   * they cost anybody, and a wrong proof does at once.
   */
  fail(visit: Visit, code: ErrorCode, session: string | null = null): void {
    if (visit.source === null || visit.proved) return;
    const isUnfinished = code === "connection_lost" || code === "timed_out";
    if (isUnfinished && session !== null && !this.#attempts.refuses(session)) {
      return this.#attempts.add(session, this.#attemptMs);
    }
    const penalty = this.#penaltyFor(code);
    if (penalty > 0) this.#penalties.add(visit.source, penalty);
  }

  /** The connection is over. */
  leave(visit: Visit): void {
    this.#proved(visit);
    this.#present--;
    visit.connection?.();
  }

  /** Its session is over too, and all that it started. */
  end(visit: Visit): void {
    visit.session?.();
  }

  #proved(visit: Visit): void {
    if (!visit.proved) this.#unauthenticated--;
    visit.proved = true;
  }

  #refusal(source: string | null): Refusal | null {
    const { maxConnections, maxUnauthenticated } = this.#limits;
    if (source !== null && this.#penalties.refuses(source)) {
      const seconds = Math.ceil(this.#penalties.of(source) / 1_000);
      const message = `${source} has a penalty of ${seconds} s for what came ` +
        "from it";
      return { reason: "penalty", message };
    }
    if (this.#present >= maxConnections) {
      const message = `${
        counted(this.#present, "connection is", "connections are")
      } there already, as many as the limit maxConnections allows`;
      return { reason: "max_connections", message };
    }
    const waiting = this.#unauthenticated;
    if (!dropsEarly(waiting, this.#limits, this.#chance.random())) return null;
    const full = waiting >= maxUnauthenticated;
    const message =
      `${
        counted(waiting, "connection has", "connections have")
      } proved nothing yet, ` +
      (full
        ? "as many as the limit maxUnauthenticated allows"
        : "and from earlyDropStart on some are dropped at random");
    return { reason: full ? "max_unauthenticated" : "early_drop", message };
  }

  #enter(source: string | null): Visit {
    this.#present++;
    this.#unauthenticated++;
    return { source, proved: false, connection: null, session: null };
  }

  #penaltyFor(code: ErrorCode): number {
    switch (code) {
      case "unauthenticated":
        return this.#limits.penaltyProofMs;
      case "timed_out":
        return this.#limits.penaltyDeadlineMs;
      case "shutting_down":
        return 0;
      default:
        return this.#limits.penaltyNoProofMs;
    }
  }
}
