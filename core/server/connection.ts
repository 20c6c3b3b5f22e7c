/**
 * One connection of a server: who is there, and what they have it do.
 *
 * @module
 */

import type { Admission, Visit } from "../admission/admission.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { ExecEvent } from "../exec/events.ts";
import { ExecServer } from "../exec/server.ts";
import { type Frame, FrameType } from "../frame/frame.ts";
import type { Identity } from "../identity.ts";
import { PlainLink } from "../link/plain_link.ts";
import { Memory, Share } from "../memory.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { SessionJobs } from "../jobs/session_jobs.ts";
import type { Duplex } from "../ports.ts";
import { printable } from "../printable.ts";
import type { ServerLimits } from "../server_limits.ts";
import { acceptor } from "../session/accept.ts";
import { within } from "../session/deadline.ts";
import { serverHandshake, turnAway } from "../session/handshake.ts";
import { sessionFrame } from "../session/hello.ts";
import { IdleTimer } from "../session/idle.ts";
import { Mux } from "../session/mux.ts";
import type { Authorization } from "./authorization.ts";
import type { ServerEventBody } from "./event.ts";
import { report, type ServeOptions } from "./options.ts";

/**
 * How long clients may take to leave once they have nothing more here, in ms:
 * what they sent before they heard of it still gets its answer.
 */
const LEAVE_MS = 1_000;

/**
 * Of messages of its own, such as answers that wait, a session may have so much
 * each way whatever the others have.
 */
const FREE_CONTROL_BYTES = 65_536;

/** A connection's place among the others. */
export interface Place {
  readonly admission: Admission;
  readonly visit: Visit;
  /** What all connections share. */
  readonly memory: Memory;
  readonly jobs: Jobs;
}

/** See the module's description. */
export class Connection {
  readonly #id: number;
  readonly #link: PlainLink;
  readonly #options: ServeOptions;
  readonly #limits: ServerLimits;
  readonly #place: Place;
  readonly #exec: ExecServer;
  readonly #since = performance.now();
  readonly #queue: Share;
  readonly #parts: Share;
  #identity: Identity | null = null;
  /** Aborted, with a `LimpetError`, if it is to end before it is a session. */
  readonly #away = new AbortController();
  #mux: Mux | null = null;
  #over: Promise<void> | null = null;
  /** What clients are told once the server is going down. */
  #goAway: Frame | null = null;

  constructor(
    duplex: Duplex,
    id: number,
    options: ServeOptions,
    limits: ServerLimits,
    place: Place,
    authorization: Authorization,
  ) {
    this.#id = id;
    this.#link = new PlainLink(duplex);
    this.#options = options;
    this.#limits = limits;
    this.#place = place;
    this.#exec = new ExecServer({
      spawner: options.spawner,
      environment: options.environment,
      console: { ...options.platform, encodings: options.encodings },
      maxCommands: limits.maxCommands,
      shutdownGraceMs: limits.shutdownGraceMs,
      authorize: (request) => {
        const session = this.#id;
        const identity = this.#known();
        const { peer } = this.#link;
        return authorization.decide({ identity, session, peer }, request);
      },
      ended: () => authorization.ended(this.#known()),
      report: (event) => this.#report(event),
      jobs: new SessionJobs(
        place.jobs,
        () => this.#known(),
        (event) => this.#report(event),
      ),
      memory: new Memory(
        "maxBufferedBytes",
        limits.maxBufferedBytes,
        place.memory,
      ),
      windowBytes: limits.windowBytes,
    });
    this.#queue = new Share(place.memory, FREE_CONTROL_BYTES);
    this.#parts = new Share(place.memory, FREE_CONTROL_BYTES);
  }

  run(authenticator: Promise<Authenticator>): Promise<void> {
    this.#over = this.#run(authenticator);
    return this.#over;
  }

  /** Null until it is known who is there. */
  get identity(): Identity | null {
    return this.#identity;
  }

  /** Its identity is no longer let in. */
  async revoke(): Promise<void> {
    const error = new LimpetError("unauthenticated", "Identity was revoked");
    if (this.#mux === null) this.#sendAway(error);
    else this.#mux.fail(error);
    await this.#over;
  }

  get commandCount(): number {
    return this.#exec.jobCount;
  }

  /** Settles when nothing runs and the client has gone, or has had time to. */
  async drain(drainMs: number): Promise<void> {
    const time = drainMs < 1_000
      ? `${drainMs} ms`
      : `${Math.round(drainMs / 1_000)} s`;
    this.#goAway = sessionFrame(FrameType.GOAWAY, {
      code: "shutting_down",
      message: `The server is going down; what runs has up to ${time}`,
      drainMs,
    });
    this.#mux?.send(this.#goAway);
    await this.#exec.drain();
    // Whoever hears of it late, or will not go, is not waited for.
    const leaving = { ms: LEAVE_MS, doing: "Leaving" };
    await within(this.#over ?? Promise.resolve(), leaving).catch(() => {});
  }

  /** `jobsEnded`: what clients may still read of jobs that end now. */
  async close(jobsEnded: Promise<void>, graceMs?: number): Promise<void> {
    if (this.#mux === null) {
      this.#sendAway(new LimpetError("shutting_down", "Server is going down"));
    } else {
      await this.#exec.shutdown("shutting_down", graceMs);
      await jobsEnded;
      await this.#mux.close("shutting_down");
    }
    await this.#over;
  }

  #sendAway(error: LimpetError): void {
    this.#away.abort(error);
    this.#link.abort(error);
  }

  async #run(authenticator: Promise<Authenticator>): Promise<void> {
    this.#report({ type: "connected" });
    const { admission, visit } = this.#place;
    let mux: Mux;
    try {
      mux = await this.#handshake(await authenticator);
    } catch (thrown) {
      const { aborted, reason } = this.#away.signal;
      const error: LimpetError = aborted
        ? reason
        : asLimpetError(thrown, "protocol_error", "Handshake");
      admission.fail(visit, error.code);
      await turnAway(this.#link, error);
      admission.leave(visit);
      admission.end(visit);
      return this.#disconnected(error, false);
    }
    const error = await mux.over;
    await Promise.all([
      this.#exec.shutdown("disconnected"),
      mux.close("closed").then(() => admission.leave(visit)),
    ]);
    this.#queue.hold(0);
    this.#parts.hold(0);
    admission.end(visit);
    this.#disconnected(error, true);
  }

  async #handshake(authenticator: Authenticator): Promise<Mux> {
    const { platform } = this.#options;
    const link = this.#link;
    const limits = this.#limits;
    const { peerLimits } = await within(
      serverHandshake(link, this.#seated(authenticator), limits, platform),
      {
        ms: limits.handshakeTimeoutMs,
        signal: this.#away.signal,
        doing: "Handshake",
      },
    );
    await this.#passGate();
    // Between its proof and here, too, it may have been sent away.
    this.#away.signal.throwIfAborted();
    const mux = new Mux({
      link,
      limits,
      peerLimits,
      hold: { queue: this.#queue.hold, parts: this.#parts.hold },
      accept: acceptor(limits.maxChannels, (channel, payload, full) => {
        idle.stop();
        this.#exec.open(channel, payload, full);
      }),
      onIdle: () => idle.begin(),
    });
    const { idleTimeoutMs } = limits;
    const idle = new IdleTimer(
      idleTimeoutMs,
      () => mux.fail(idleError(limits)),
    );
    this.#mux = mux;
    this.#report({ type: "authenticated" });
    idle.begin();
    mux.over.then(() => idle.stop());
    // Before what came with the proof is answered.
    if (this.#goAway !== null) mux.send(this.#goAway);
    mux.start();
    return mux;
  }

  /** Lets in whom the authenticator knows, if there is room for them. */
  #seated(authenticator: Authenticator): Authenticator {
    const { admission, visit } = this.#place;
    return {
      hostKey: authenticator.hostKey,
      authenticate: async (claim) => {
        const known = await authenticator.authenticate(claim);
        if ("denied" in known) return known;
        admission.prove(visit, known.identity.name);
        this.#identity = known.identity;
        return known;
      },
    };
  }

  #known(): Identity {
    if (this.#identity !== null) return this.#identity;
    throw new LimpetError("unauthenticated", "Nobody has proved anything yet");
  }

  /** Who has proved the token is told what is the matter, and nobody else. */
  async #passGate(): Promise<void> {
    const { gate } = this.#options;
    if (gate === undefined) return;
    const ms = this.#limits.handshakeTimeoutMs;
    try {
      const { signal } = this.#away;
      await within(gate(), { ms, signal, doing: "Waiting to be let in" });
    } catch (error) {
      const { message } = asLimpetError(error, "refused", "Connecting");
      throw new LimpetError("limit_exceeded", message, { cause: error });
    }
  }

  #disconnected(error: LimpetError, authenticated: boolean): void {
    const { code, cause } = error;
    // Why somebody was not let in is told here and nowhere else.
    const message = code === "unauthenticated" && typeof cause === "string"
      ? `${error.message}: ${printable(cause)}`
      : error.message;
    this.#report({
      type: "disconnected",
      code,
      message,
      authenticated,
      durationMs: Math.round(performance.now() - this.#since),
    });
  }

  #report(
    event: ExecEvent | Exclude<ServerEventBody, ExecEvent>,
  ): void {
    report(this.#options, {
      time: Date.now(),
      session: this.#id,
      peer: this.#link.peer,
      identity: this.#identity?.name ?? null,
      ...event,
    });
  }
}

function idleError({ idleTimeoutMs }: ServerLimits): LimpetError {
  return new LimpetError(
    "timed_out",
    `Session has been idle for ${idleTimeoutMs} ms, as long as the limit ` +
      "idleTimeoutMs allows",
  );
}
