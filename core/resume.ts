/**
 * Sessions that survive their connections, on the client's side.
 *
 * @module
 */

import { asLimpetError, type ErrorCode, LimpetError } from "./errors.ts";
import type { Fields } from "./frame/control.ts";
import { overlapping } from "./link/attempts.ts";
import { backoffMs } from "./link/backoff.ts";
import { PlainLink } from "./link/plain_link.ts";
import { ResumableLink } from "./link/resumable_link.ts";
import type { Dialler } from "./ports.ts";
import type { Connecting, LastingLink, Resumption } from "./resumption.ts";
import { within } from "./session/deadline.ts";
import { type Position, readPosition } from "./session/hello.ts";
import {
  clientHandshake,
  type ResumeOffer,
  turnAway,
} from "./session/handshake.ts";

/** What becomes of a session's connection. */
export type ResumeEvent =
  /** It is lost, and another one is being looked for. */
  | { readonly type: "disconnected"; readonly reason: LimpetError }
  /** There is another one, and nothing was lost. */
  | {
    readonly type: "resumed";
    /** Which attempt it was, from 1. */
    readonly attempt: number;
    /** How long there was none, in milliseconds. */
    readonly afterMs: number;
  };

/** How to resume. */
export interface ResumeOptions {
  /**
   * How long to look for another connection, in milliseconds. Default: as long as
   * the server says that it keeps the session.
   */
  readonly timeoutMs?: number;
  /**
   * What may be kept of what was sent and not acknowledged, in bytes. Default 32
   * MiB; at the limit a session waits. A peer may leave 2 MiB unacknowledged for a
   * moment, so that less makes large transfers stand still for it.
   */
  readonly maxReplayBytes?: number;
  /** Told of each loss, and of each return. Must not throw. */
  readonly onEvent?: (event: ResumeEvent) => void;
  /** From 0 up to 1: how much of the back-off to wait. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * For the option `resume` of `connect`: dials again when the connection is lost,
 * at once and then with back-off, proves itself anew, and goes on where both sides
 * were. An attempt of which nothing is heard for a second, or for 4 times as long
 * as the last one took, goes on, but another one begins beside it, up to 3 at a
 * time; the first that gets through counts. Commands and their streams notice
 * nothing but the time it takes. Needs a dialler, and a server that keeps sessions
 * (`graceMs`); with another one the session ends with its connection, as it does
 * without this. When there is no way
 * back, the session ends with `connection_lost`: what became of its commands is
 * unknown then.
 */
export function resumable(options: ResumeOptions = {}): Resumption {
  return (first, connecting) => new Resuming(first, connecting, options);
}

/** What another attempt cannot change. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unauthenticated",
  "version_mismatch",
  "certificate_untrusted",
  "certificate_invalid",
  "certificate_changed",
  "invalid_argument",
  "unsupported",
]);

/** What a client keeps by default, to send it again. */
const DEFAULT_REPLAY_BYTES = 33_554_432;

/**
 * An attempt to come back is waited for alone so many times as long as the one
 * before it took, and for so long at least, in ms.
 */
const PATIENCE = 4;
const LEAST_PATIENCE_MS = 1_000;

/** The server has proved itself, and the session is gone or cannot go on. */
class Gone extends Error {}

function isFinal(error: unknown): boolean {
  return error instanceof Gone ||
    error instanceof LimpetError && FINAL.has(error.code);
}

class Resuming extends ResumableLink implements LastingLink {
  readonly offer: ResumeOffer;
  readonly #connecting: Connecting;
  readonly #dial: Dialler;
  readonly #options: ResumeOptions;
  readonly #stop: AbortController;
  readonly #since: number = performance.now();
  #session = "";
  #timeoutMs = 0;
  /** How long the latest way to the server's proof took, in ms. */
  #tookMs = 0;
  /** Why the latest attempt that was told a reason came to nothing. */
  #obstacle: unknown;

  constructor(
    first: PlainLink,
    connecting: Connecting,
    options: ResumeOptions,
  ) {
    const { to } = connecting;
    if (typeof to !== "function") {
      const error = new LimpetError(
        "invalid_argument",
        "A byte stream cannot be dialled again: to resume, give connect() a " +
          "function that makes one",
      );
      first.abort(error);
      throw error;
    }
    const stop = new AbortController();
    super(first, {
      maxReplayBytes: options.maxReplayBytes ?? DEFAULT_REPLAY_BYTES,
      onLost: (error) => this.#lost(error),
      // A reason of its own would be made with a stack, for nobody.
      onOver: () => stop.abort(null),
    });
    this.#connecting = connecting;
    this.#dial = to;
    this.#options = options;
    this.#stop = stop;
    this.offer = {
      hello: { features: this.#features },
      granted: (proof) => this.#begin(proof),
    };
  }

  get #features(): string[] {
    return [...this.#connecting.credential.features ?? [], "resume"];
  }

  /** The server has said whether it keeps the session. */
  #begin(proof: Fields): void {
    const kept = proof.has("session");
    this.#tookMs = performance.now() - this.#since;
    if (kept) {
      const session = proof.object("session");
      this.#session = session.text("id", 64);
      this.#timeoutMs = this.#options.timeoutMs ?? session.integer("graceMs");
    }
    this.keep(kept);
  }

  get #patienceMs(): number {
    return Math.max(LEAST_PATIENCE_MS, this.#tookMs * PATIENCE);
  }

  async #lost(reason: LimpetError): Promise<void> {
    const since = performance.now();
    const passedMs = () => Math.round(performance.now() - since);
    const leftMs = () => this.#timeoutMs - passedMs();
    const { random = Math.random } = this.#options;
    const { handshakeTimeoutMs } = this.#connecting.limits;
    const { signal } = this.#stop;
    this.#obstacle = undefined;
    this.#tell({ type: "disconnected", reason });
    const { attempts, succeeded, error } = await overlapping({
      attempt: (own, alone) => this.#attempt(leftMs(), own, alone),
      pauseMs: (attempt) =>
        Math.max(0, Math.min(backoffMs(attempt, random), leftMs())),
      patienceMs: Math.min(handshakeTimeoutMs, this.#patienceMs),
      mostPatienceMs: handshakeTimeoutMs,
      mayGoOn: (error) => leftMs() > 0 && !isFinal(error),
    }, signal);
    if (succeeded !== null) {
      return this.#tell({
        type: "resumed",
        attempt: succeeded,
        afterMs: passedMs(),
      });
    }
    if (signal.aborted) return;
    // The last one has hardly any time: that it ran out is no reason.
    const why = this.#obstacle ?? error;
    const last = asLimpetError(why, "connection_lost", "Resuming");
    const often = attempts === 1 ? "" : ` ${attempts} times`;
    this.end(
      new LimpetError(
        "connection_lost",
        `${reason.message}. It was tried${often} to go on over another ` +
          `one: ${last.message}`,
        { cause: last },
      ),
    );
  }

  /** Dials, proves, goes on. */
  async #attempt(
    leftMs: number,
    own: AbortController,
    alone: () => boolean,
  ): Promise<void> {
    const since = performance.now();
    const { handshakeTimeoutMs } = this.#connecting.limits;
    try {
      await within(this.#reconnect(own.signal, alone), {
        ms: Math.max(1, Math.min(handshakeTimeoutMs, leftMs)),
        signal: own.signal,
        doing: `Connecting to ${this.peer} again`,
      });
      this.#tookMs = performance.now() - since;
    } catch (error) {
      const isLate = error instanceof LimpetError && error.code === "timed_out";
      if (!isLate && !own.signal.aborted) this.#obstacle = error;
      throw error;
    } finally {
      own.abort();
    }
  }

  async #reconnect(given: AbortSignal, alone: () => boolean): Promise<void> {
    const { credential, limits, noise } = this.#connecting;
    const duplex = await this.#dial(given);
    const carrier = new PlainLink(duplex);
    const abort = () => {
      carrier.abort(new LimpetError("cancelled", "Connecting took too long"));
    };
    if (given.aborted) return abort();
    given.addEventListener("abort", abort);
    const begunAt = carrier.heardAt;
    let roundTripMs: number;
    let position: Position | null = null;
    try {
      const { proof, verify } = await clientHandshake(
        carrier,
        credential,
        limits,
        noise,
        {
          hello: {
            features: this.#features,
            resume: {
              session: this.#session,
              received: this.received,
              begun: this.begun,
            },
          },
          granted: (proof) => {
            if (!proof.has("resumed")) return;
            position = readPosition(proof.object("resumed"));
          },
        },
      );
      // The server gives the session to whoever proves last: two that did would
      // take it from each other.
      if (!alone()) return abort();
      roundTripMs = carrier.heardAt - begunAt;
      await carrier.send([proof]);
      await verify();
    } catch (thrown) {
      const error = asLimpetError(thrown, "protocol_error", "Handshake");
      await turnAway(carrier, error);
      throw error;
    } finally {
      given.removeEventListener("abort", abort);
    }
    if (!alone()) return abort();
    this.#goOn(carrier, position, roundTripMs);
  }

  #goOn(
    carrier: PlainLink,
    position: Position | null,
    roundTripMs: number,
  ): void {
    try {
      if (position === null) throw new Error("the server has no such session");
      this.attach(carrier, position.received, position.begun);
      this.#connecting.growth.fastestMs = roundTripMs;
      this.#connecting.growth.known = 0;
    } catch (cause) {
      const { message } = cause as Error;
      carrier.abort(new LimpetError("closed", "No session to go on with"));
      throw new Gone(message, { cause });
    }
  }

  #tell(event: ResumeEvent): void {
    try {
      this.#options.onEvent?.(event);
    } catch {
      // It was told not to throw, and the session is not to pay for it.
    }
  }
}
