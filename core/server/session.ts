/**
 * One session of a server: what a client has it do, over one connection or, if
 * the client can resume, over one after another.
 *
 * @module
 */

import type { Visit } from "../admission/admission.ts";
import { toBase64Url } from "../auth/base64url.ts";
import { counted } from "../counted.ts";
import { type ErrorCode, LimpetError } from "../errors.ts";
import type { ExecEvent } from "../exec/events.ts";
import { ExecServer } from "../exec/server.ts";
import { FrameType } from "../frame/frame.ts";
import type { Proven, WhyGone } from "../identity.ts";
import { SessionJobs } from "../jobs/session_jobs.ts";
import type { Link } from "../link/link.ts";
import { ResumableLink } from "../link/resumable_link.ts";
import { Memory, Share } from "../memory.ts";
import { acceptor } from "../session/accept.ts";
import { within } from "../session/deadline.ts";
import { HeldGrowth } from "../session/held_growth.ts";
import {
  type PeerLimits,
  type Position,
  sessionFrame,
} from "../session/hello.ts";
import { IdleTimer } from "../session/idle.ts";
import { Mux } from "../session/mux.ts";
import type { Carrier } from "./carrier.ts";
import type { ServerEventBody } from "./event.ts";
import type { Host } from "./host.ts";
import { report } from "./options.ts";

/**
 * How long clients may take to leave once they have nothing more here, in ms:
 * what they sent before they heard of it still gets its answer.
 */
const LEAVE_MS = 1_000;

/**
 * Of messages of its own, such as answers that wait, a session may have so much
 * each way whatever the others have; of what it may have to send again, too.
 */
const FREE_CONTROL_BYTES = 65_536;

/**
 * What makes a session faster over a long line is taken only as long as less than
 * this of the memory is: the rest is for commands to start.
 */
const SPARE_PART = 0.5;

/** To be sent again. What goes beyond is for long lines. */
const USUAL_REPLAY_BYTES = 4_194_304;

/** Bytes of a session's key. */
const KEY_BYTES = 16;

/** What a session begins with. */
export interface Beginning {
  /** Of its first connection. */
  readonly id: number;
  readonly client: Proven;
  readonly carrier: Carrier;
  readonly visit: Visit;
  readonly peerLimits: PeerLimits;
  /** What its handshake took for a round trip, in milliseconds. */
  readonly roundTripMs: number;
  /** What the client was told to name to resume it; null if it cannot. */
  readonly key: string | null;
  /** How long it then waits for another connection, in ms. */
  readonly graceMs: number;
}

/** See the module's description. */
export class Session {
  /** What its client has to name to resume it; null if it cannot. */
  readonly key: string | null;
  readonly client: Proven;
  /** Settles when it is over, and all that it started is gone. */
  readonly over: Promise<void>;
  readonly #id: number;
  readonly #host: Host;
  readonly #visit: Visit;
  readonly #graceMs: number;
  readonly #link: Link;
  /** Made for its first command: most of what an idle session would hold. */
  #exec: ExecServer | null = null;
  readonly #mux: Mux;
  readonly #idle: IdleTimer;
  readonly #memory: Memory;
  readonly #growth: HeldGrowth;
  readonly #shares: readonly Share[];
  readonly #since = performance.now();
  #lostAt = 0;
  /** What the log says of its end besides the reason. */
  #endedWith = "";
  #grace: ReturnType<typeof setTimeout> | undefined;
  /** The connection that is to be the session's. */
  #claimant: Carrier;

  constructor(host: Host, beginning: Beginning) {
    const { id, client, carrier, peerLimits, roundTripMs } = beginning;
    const { limits, memory } = host;
    const [queue, parts, replay] = Array.from(
      { length: 3 },
      () => new Share(memory, FREE_CONTROL_BYTES),
    );
    this.#memory = new Memory(
      "maxBufferedBytes",
      limits.maxBufferedBytes,
      memory,
    );
    const windows = new Share(this.#memory, 0, SPARE_PART);
    const { maxWindowGrowthBytes } = limits;
    this.#growth = new HeldGrowth(roundTripMs, maxWindowGrowthBytes, windows);
    const moreReplay = new Share(memory, 0, SPARE_PART);
    this.#host = host;
    this.#id = id;
    this.client = client;
    this.key = beginning.key;
    this.#visit = beginning.visit;
    this.#graceMs = beginning.graceMs;
    this.#claimant = carrier;
    this.#shares = [queue, parts, replay, windows, moreReplay];
    this.#link = this.key === null
      ? carrier
      : this.#resumable(carrier, replay, moreReplay);
    this.#idle = new IdleTimer(
      limits.idleTimeoutMs,
      () => this.#mux.fail(idleError(limits.idleTimeoutMs)),
    );
    this.#mux = new Mux({
      link: this.#link,
      limits,
      peerLimits,
      hold: { queue, parts },
      growth: this.#growth,
      accept: acceptor(limits.maxChannels, (channel, payload, full) => {
        this.#idle.stop();
        this.#commands.open(channel, payload, full);
      }),
      onIdle: () => this.#idle.begin(),
    });
    // By `then`: an async function that waits is kept as a whole.
    this.over = this.#mux.over.then((error) => this.#end(error));
  }

  /** Begins to listen to the client. */
  start(): void {
    this.report({ type: "authenticated" });
    this.#idle.begin();
    this.#mux.start();
  }

  get isOver(): boolean {
    return this.#mux.error !== null;
  }

  get commandCount(): number {
    return this.#exec?.jobCount ?? 0;
  }

  /**
   * The client is back: the connection that it had before, if it was still
   * there, is its no longer. Resolves to what has come from it; in whole frames if
   * it wants no more. Throws `protocol_error`, and changes nothing, for a client
   * that cannot have received what it says.
   */
  async claim(
    carrier: Carrier,
    { received, begun }: Position,
  ): Promise<Position> {
    const link = this.#link as ResumableLink;
    link.checkReceived(received, begun);
    const reason = new LimpetError(
      "connection_lost",
      `Connection to ${link.peer} was lost: ${carrier.peer} took its place`,
    );
    const before = this.#claimant;
    this.#claimant = carrier;
    link.lost(reason);
    before.abort(reason);
    // Its place is free then.
    await before.gone;
    this.#checkClaim(carrier);
    return {
      received: link.received,
      begun: begun === undefined ? undefined : link.begun,
    };
  }

  /**
   * Goes on over a connection that has claimed it. Throws `connection_lost` if
   * there is a newer one, or if it is over.
   */
  resume(
    carrier: Carrier,
    { received, begun }: Position,
    roundTripMs: number,
    connection: number,
  ): void {
    this.#checkClaim(carrier);
    clearTimeout(this.#grace);
    const awayMs = Math.round(performance.now() - this.#lostAt);
    (this.#link as ResumableLink).attach(carrier, received, begun);
    this.#growth.fastestMs = roundTripMs;
    this.#growth.known = 0;
    this.report({ type: "resumed", connection, awayMs });
  }

  /** Settles when nothing runs and the client has gone, or has had time to. */
  async drain(drainMs: number): Promise<void> {
    const time = drainMs < 1_000
      ? `${drainMs} ms`
      : `${Math.round(drainMs / 1_000)} s`;
    this.#mux.send(sessionFrame(FrameType.GOAWAY, {
      code: "shutting_down",
      message: `The server is going down; what runs has up to ${time}`,
      drainMs,
    }));
    await this.#commands.drain();
    // Whoever hears of it late, or will not go, is not waited for.
    const leaving = { ms: LEAVE_MS, doing: "Leaving" };
    await within(this.over, leaving).catch(() => {});
  }

  /**
   * Ends it, and what runs after `graceMs`. `jobsEnded`: what its client may still
   * read of jobs that end now.
   */
  async close(jobsEnded: Promise<void>, graceMs?: number): Promise<void> {
    await this.#commands.shutdown("shutting_down", graceMs);
    await jobsEnded;
    await this.#mux.close("shutting_down");
    await this.over;
  }

  /** Its identity is no longer let in. */
  async revoke(why: WhyGone): Promise<void> {
    const error = revoked(why);
    if (!this.isOver) {
      const count = counted(this.#exec?.runningCount ?? 0, "command");
      const more = error.cause === undefined ? "" : `: ${error.cause}`;
      this.#endedWith = `${more}; ${count} ended with it`;
    }
    this.#mux.fail(error);
    await this.over;
  }

  /** Takes leave of its client, though what runs has not ended. */
  async leave(): Promise<void> {
    await this.#mux.close("shutting_down");
  }

  /** Tells of something, as of this session. */
  report(event: ExecEvent | Exclude<ServerEventBody, ExecEvent>): void {
    report(this.#host.options, {
      time: Date.now(),
      session: this.#id,
      peer: this.#link.peer,
      identity: this.client.identity.name,
      ...event,
    });
  }

  async #end(error: LimpetError): Promise<void> {
    clearTimeout(this.#grace);
    this.#idle.stop();
    await Promise.all([
      this.#exec?.shutdown("disconnected"),
      this.#mux.close("closed"),
    ]);
    for (const share of this.#shares) share.close();
    this.#host.admission.end(this.#visit);
    const message = error.message + this.#endedWith;
    this.report(disconnected(error.code, message, true, this.#since));
  }

  #checkClaim(carrier: Carrier): void {
    if (!this.isOver && this.#claimant === carrier) return;
    throw new LimpetError(
      "connection_lost",
      "Session is over meanwhile, or another connection has taken it",
    );
  }

  #resumable(carrier: Carrier, usual: Share, more: Share): ResumableLink {
    const { maxReplayBytes } = this.#host.limits;
    const link = new ResumableLink(carrier, {
      maxReplayBytes,
      hold: {
        hold: (bytes) =>
          usual.hold(Math.min(bytes, USUAL_REPLAY_BYTES)) &&
          more.hold(Math.max(0, bytes - USUAL_REPLAY_BYTES)),
      },
      // What commands write, and what is encoded here.
      owned: true,
      onLost: (error) => this.#suspend(error),
      onOver: () => {},
    });
    link.keep(true);
    return link;
  }

  /** The client has so long to come back. Its commands go on meanwhile. */
  #suspend({ code, message }: LimpetError): void {
    this.#lostAt = performance.now();
    const graceMs = this.#graceMs;
    this.report({ type: "suspended", code, message, graceMs });
    // What no timer can be set for is never.
    if (graceMs > 0x7fff_ffff) return;
    const text = `${message}; nobody came back within ${graceMs} ms`;
    this.#grace = setTimeout(
      () => this.#mux.fail(new LimpetError("connection_lost", text)),
      graceMs,
    );
  }

  get #commands(): ExecServer {
    return this.#exec ??= this.#makeExec();
  }

  #makeExec(): ExecServer {
    const { options, limits, authorization } = this.#host;
    const { client } = this;
    const { identity } = client;
    return new ExecServer({
      spawner: options.spawner,
      environment: options.environment,
      console: { ...options.platform, encodings: options.encodings },
      maxCommands: limits.maxCommands,
      shutdownGraceMs: limits.shutdownGraceMs,
      authorize: (request) => {
        const asker = { identity, session: this.#id, peer: this.#link.peer };
        return authorization.decide(asker, request);
      },
      ended: () => authorization.ended(identity),
      report: (event) => this.report(event),
      untold: (error) => this.#mux.fail(error),
      jobs: new SessionJobs(
        this.#host.jobs,
        client,
        (event) => this.report(event),
      ),
      memory: this.#memory,
      windowBytes: limits.windowBytes,
    });
  }
}

/** The event for the end of a session, or of a connection that became none. */
export function disconnected(
  code: ErrorCode,
  message: string,
  authenticated: boolean,
  since: number,
): Extract<ServerEventBody, { type: "disconnected" }> {
  const durationMs = Math.round(performance.now() - since);
  return { type: "disconnected", code, message, authenticated, durationMs };
}

/** Why a session ends whose client may not come any more; `cause` is for the log. */
export function revoked(why: WhyGone): LimpetError {
  if (why === true) return revoked("Identity was revoked");
  const { told, logged } = typeof why === "string"
    ? { told: why, logged: undefined }
    : why;
  return new LimpetError("unauthenticated", told, { cause: logged });
}

/** A key for a session: nobody guesses one. */
export function makeKey(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
}

function idleError(idleTimeoutMs: number): LimpetError {
  return new LimpetError(
    "timed_out",
    `Session has been idle for ${idleTimeoutMs} ms, as long as the limit ` +
      "idleTimeoutMs allows",
  );
}
