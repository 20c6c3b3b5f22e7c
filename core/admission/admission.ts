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

  /** Its handshake has failed, for this reason. */
  fail(visit: Visit, code: ErrorCode): void {
    if (visit.source === null || visit.proved) return;
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
