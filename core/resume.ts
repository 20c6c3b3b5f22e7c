/**
 * Sessions that survive their connections, on the client's side.
 *
 * @module
 */

import { asLimpetError, type ErrorCode, LimpetError } from "./errors.ts";
import type { Fields } from "./frame/control.ts";
import { backoffMs } from "./link/backoff.ts";
import { PlainLink } from "./link/plain_link.ts";
import { ResumableLink } from "./link/resumable_link.ts";
import type { Dialler } from "./ports.ts";
import type { Connecting, LastingLink, Resumption } from "./resumption.ts";
import { within } from "./session/deadline.ts";
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
   * MiB; at the limit a session waits.
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
 * were. Commands and their streams notice nothing but the time it takes. Needs a
 * dialler, and a server that keeps sessions (`graceMs`); with another one the
 * session ends with its connection, as it does without this. When there is no way
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

/** The server has proved itself, and the session is gone or cannot go on. */
class Gone extends Error {}

class Resuming extends ResumableLink implements LastingLink {
  readonly offer: ResumeOffer;
  readonly #connecting: Connecting;
  readonly #dial: Dialler;
  readonly #options: ResumeOptions;
  readonly #stop: AbortController;
  #session = "";
  #timeoutMs = 0;

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
      onOver: () => stop.abort(),
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
    if (kept) {
      const session = proof.object("session");
      this.#session = session.text("id", 64);
      this.#timeoutMs = this.#options.timeoutMs ?? session.integer("graceMs");
    }
    this.keep(kept);
  }

  async #lost(reason: LimpetError): Promise<void> {
    const since = performance.now();
    const leftMs = () => this.#timeoutMs - (performance.now() - since);
    const { random = Math.random } = this.#options;
    this.#tell({ type: "disconnected", reason });
    for (let attempt = 1;; attempt++) {
      await this.#sleep(Math.min(backoffMs(attempt, random), leftMs()));
      if (this.#stop.signal.aborted) return;
      try {
        await this.#attempt(leftMs());
        const afterMs = Math.round(performance.now() - since);
        return this.#tell({ type: "resumed", attempt, afterMs });
      } catch (thrown) {
        if (this.#stop.signal.aborted) return;
        const error = asLimpetError(thrown, "connection_lost", "Resuming");
        const isFinal = thrown instanceof Gone || FINAL.has(error.code);
        if (!isFinal && leftMs() > 0) continue;
        const often = attempt === 1 ? "" : ` ${attempt} times`;
        return this.end(
          new LimpetError(
            "connection_lost",
            `${reason.message}. It was tried${often} to go on over another ` +
              `one: ${error.message}`,
            { cause: error },
          ),
        );
      }
    }
  }

  /** Dials, proves, goes on. */
  async #attempt(leftMs: number): Promise<void> {
    const { handshakeTimeoutMs } = this.#connecting.limits;
    const abandon = new AbortController();
    try {
      await within(this.#reconnect(abandon.signal), {
        ms: Math.max(1, Math.min(handshakeTimeoutMs, leftMs)),
        signal: this.#stop.signal,
        doing: `Connecting to ${this.peer} again`,
      });
    } finally {
      abandon.abort();
    }
  }

  async #reconnect(abandoned: AbortSignal): Promise<void> {
    const { credential, limits, noise } = this.#connecting;
    const duplex = await this.#dial(abandoned);
    const carrier = new PlainLink(duplex);
    const abort = () => {
      carrier.abort(new LimpetError("cancelled", "Connecting took too long"));
    };
    if (abandoned.aborted) return abort();
    abandoned.addEventListener("abort", abort);
    let received: number | null = null;
    try {
      const { proof, verify } = await clientHandshake(
        carrier,
        credential,
        limits,
        noise,
        {
          hello: {
            features: this.#features,
            resume: { session: this.#session, received: this.received },
          },
          granted: (proof) => {
            if (!proof.has("resumed")) return;
            received = proof.object("resumed").integer("received");
          },
        },
      );
      await carrier.send([proof]);
      await verify();
    } catch (thrown) {
      const error = asLimpetError(thrown, "protocol_error", "Handshake");
      await turnAway(carrier, error);
      throw error;
    } finally {
      abandoned.removeEventListener("abort", abort);
    }
    if (abandoned.aborted) return abort();
    this.#goOn(carrier, received);
  }

  #goOn(carrier: PlainLink, received: number | null): void {
    try {
      if (received === null) throw new Error("the server has no such session");
      this.attach(carrier, received);
      this.#connecting.growth.fastestMs = Infinity;
    } catch (cause) {
      const { message } = cause as Error;
      carrier.abort(new LimpetError("closed", "No session to go on with"));
      throw new Gone(message, { cause });
    }
  }

  async #sleep(ms: number): Promise<void> {
    if (ms <= 0) return;
    const { signal } = this.#stop;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, Math.min(ms, 0x7fff_ffff));
      function done() {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    });
  }

  #tell(event: ResumeEvent): void {
    try {
      this.#options.onEvent?.(event);
    } catch {
      // It was told not to throw, and the session is not to pay for it.
    }
  }
}
