/**
 * The server: takes connections, lets in who proves the token, runs commands.
 *
 * @module
 */

import { Admission, type Visit } from "./admission/admission.ts";
import {
  type Refusal,
  type RefusalReason,
  Refusals,
} from "./admission/refusals.ts";
import {
  type Authenticator,
  tokenAuthenticator,
} from "./auth/authenticator.ts";
import { deferred } from "./deferred.ts";
import { asLimpetError, type ErrorCode, LimpetError } from "./errors.ts";
import { Authorization } from "./authorization.ts";
import type { Authorize } from "./exec/authorized.ts";
import type { ExecEvent } from "./exec/events.ts";
import { checkTimer } from "./exec/request.ts";
import { ExecServer } from "./exec/server.ts";
import { type Frame, FrameType } from "./frame/frame.ts";
import type { Identity } from "./identity.ts";
import { Memory, Share } from "./memory.ts";
import { PlainLink } from "./link/plain_link.ts";
import type { Duplex, Listener, Platform, Spawner } from "./ports.ts";
import { printable } from "./printable.ts";
import { resolveServerLimits, type ServerLimits } from "./server_limits.ts";
import { within } from "./session/deadline.ts";
import { serverHandshake, turnAway } from "./session/handshake.ts";
import { sessionFrame } from "./session/hello.ts";
import { IdleTimer } from "./session/idle.ts";
import { Mux } from "./session/mux.ts";
import type { Encodings } from "./text/mod.ts";

/** Something that happened on a server. */
export type ServerEvent =
  & {
    /** When, in milliseconds since 1970, as `Date.now()` has it. */
    readonly time: number;
    /** Numbers the server's connections. */
    readonly session: number;
    /** Where the client is: `127.0.0.1:40312`, `unix`, `stdio`. */
    readonly peer: string;
    /** Who the client has proved to be; null before. */
    readonly identity: string | null;
  }
  & (
    /**
     * Connections were dropped before anything of them was read. The first is
     * told at once, those after it together, every ten seconds: `session`,
     * `peer` and `message` are those of the last.
     */
    | {
      readonly type: "refused";
      readonly reason: RefusalReason;
      readonly message: string;
      /** Connections refused for this reason since the event before. */
      readonly count: number;
    }
    | { readonly type: "connected" }
    /** The client is known, as `identity` from here on. */
    | { readonly type: "authenticated" }
    /** The connection is over; `closed` is the ordinary end. */
    | {
      readonly type: "disconnected";
      readonly code: ErrorCode;
      /** For the log: it may say more than the client was told. */
      readonly message: string;
      /** Whether it had been authenticated. */
      readonly authenticated: boolean;
      /** From the connection's begin to its end, in milliseconds. */
      readonly durationMs: number;
    }
    | ExecEvent
  );

/** How to serve. */
export interface ServeOptions {
  /**
   * The secret shared with the clients, at least 16 bytes; who has it is the
   * identity `default`. Either this or `authenticator`.
   */
  readonly token?: string;
  /** Who may connect, where there are several: `Identities`. */
  readonly authenticator?: Authenticator;
  readonly spawner: Spawner;
  /** What commands inherit; variables named `LIMPET_*` are taken out. */
  readonly environment: () => Record<string, string>;
  /** What clients are told of this machine. */
  readonly platform: Platform;
  /**
   * Knows how to write the platform's encoding, for commands whose text is not
   * ASCII, or loads who does when it is first needed: `iconv` of `limpet/iconv`.
   * Without it, text that is not ASCII is refused unless it goes as UTF-8.
   */
  readonly encodings?: Encodings | (() => Promise<Encodings>);
  /** Bounds on what clients can make us hold; see `ServerLimits`. */
  readonly limits?: Partial<ServerLimits>;
  /**
   * Asked before each connection and each command is taken; rejects to refuse
   * it. For an audit log that must be complete.
   */
  readonly gate?: () => Promise<void>;
  /**
   * Decides each request to run a command, whatever it comes over:
   * `policyAuthorizer`, or your own. Default: who is let in may run anything that
   * this program's user may.
   */
  readonly authorize?: Authorize;
  /** Told of everything that happens. Must not throw. */
  readonly onEvent?: (event: ServerEvent) => void;
}

/** How to close a server. */
export interface CloseOptions {
  /** How long running commands may go on by themselves, in ms. Default 0. */
  readonly drainMs?: number;
  /**
   * From SIGTERM to SIGKILL for what still runs then, in ms. Default: the limit
   * `shutdownGraceMs`, or less if the command said so.
   */
  readonly graceMs?: number;
}

/**
 * How long clients may take to leave once they have nothing more here, in ms:
 * what they sent before they heard of it still gets its answer.
 */
const LEAVE_MS = 1_000;

/** Serves connections from a listener, or handed over one by one. */
export class Server implements AsyncDisposable {
  readonly #options: ServeOptions;
  readonly #limits: ServerLimits;
  readonly #admission: Admission;
  readonly #memory: Memory;
  readonly #refusals: Refusals<Refused>;
  #authenticator: Promise<Authenticator>;
  readonly #authorization: Authorization;
  readonly #connections = new Set<Connection>();
  readonly #listeners = new Set<Listener>();
  #count = 0;
  #closing: Promise<void> | null = null;
  /** Resolved when commands are being ended. */
  readonly #ending = deferred<void>();

  /** Use {@linkcode serve}, or this one for connections of another origin. */
  constructor(options: ServeOptions) {
    this.#options = options;
    this.#limits = resolveServerLimits(options.limits);
    this.#admission = new Admission(this.#limits);
    const { maxTotalBufferedBytes } = this.#limits;
    this.#memory = new Memory("maxTotalBufferedBytes", maxTotalBufferedBytes);
    this.#refusals = new Refusals((last, count) =>
      report(options, {
        type: "refused",
        time: Date.now(),
        identity: null,
        ...last,
        count,
      })
    );
    this.#authorization = new Authorization(options);
    this.#authenticator = authenticatorOf(options);
    this.#authenticator.catch(() => {});
  }

  /** Rejects with `invalid_argument` if the token is too short. */
  async ready(): Promise<void> {
    await this.#authenticator;
  }

  /** Decides on who connects from now on. Sessions that are open stay. */
  replaceAuthenticator(authenticator: Authenticator): void {
    this.#authenticator = Promise.resolve(authenticator);
  }

  /** Commands that run, or whose output is still being sent, on all sessions. */
  get commandCount(): number {
    let count = 0;
    for (const each of this.#connections) count += each.commandCount;
    return count;
  }

  /** Connections that are open, authenticated or not. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Takes connections until the listener ends or the server closes. */
  async listen(listener: Listener): Promise<void> {
    await this.ready();
    this.#listeners.add(listener);
    for await (const duplex of listener) this.accept(duplex);
    this.#listeners.delete(listener);
  }

  /** Serves one connection. Settles when it is over; never rejects. */
  async accept(duplex: Duplex): Promise<void> {
    const session = ++this.#count;
    const peer = duplex.peer ?? "peer";
    const visit = this.#admission.admit(peer);
    if ("reason" in visit) {
      duplex.readable.cancel().catch(() => {});
      duplex.writable.abort().catch(() => {});
      return this.#refusals.add({ ...visit, session, peer });
    }
    const connection = new Connection(
      duplex,
      session,
      this.#options,
      this.#limits,
      { admission: this.#admission, visit, memory: this.#memory },
      this.#authorization,
    );
    this.#connections.add(connection);
    if (this.#closing !== null) connection.close();
    await connection.run(this.#authenticator);
    this.#connections.delete(connection);
  }

  /**
   * Stops listening, tells every client that the server is going down, and lets
   * commands come to their end for `drainMs` at most; new ones are refused with
   * `shutting_down`. Settles when nothing runs any more, when the time is over,
   * or when `close()` no longer waits. `close()` is still to be called.
   */
  async drain(drainMs: number): Promise<void> {
    checkTimer(drainMs, "drainMs");
    await this.#stopListening();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainMs);
    });
    const drained = [...this.#connections].map((each) => each.drain(drainMs));
    await Promise.race([Promise.all(drained), timeout, this.#ending.promise]);
    clearTimeout(timer);
  }

  /**
   * Stops listening, lets commands come to their end for `drainMs`, ends those
   * that are left (SIGTERM, and SIGKILL after `graceMs`) and closes every session.
   * A number is the same as `{ graceMs }`. Settles when nothing is left. To be in
   * more of a hurry, call it again with shorter times: they count at once.
   */
  async close(how: number | CloseOptions = {}): Promise<void> {
    const { drainMs = 0, graceMs } = typeof how === "number"
      ? { graceMs: how }
      : how;
    if (drainMs > 0) await this.drain(drainMs);
    await this.#stopListening();
    this.#ending.resolve();
    await Promise.all(
      [...this.#connections].map((each) => each.close(graceMs)),
    );
    this.#refusals.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Ends every session of the identities that `gone` names, commands included,
   * as when they had closed it: for one that was revoked. Settles when they are
   * over.
   */
  async endSessions(gone: (identity: Identity) => boolean): Promise<void> {
    const connections = [...this.#connections].filter(({ identity }) =>
      identity !== null && gone(identity)
    );
    await Promise.all(connections.map((each) => each.revoke()));
  }

  #stopListening(): Promise<void> {
    const stop = async () => {
      await Promise.all([...this.#listeners].map((each) => each.close()));
    };
    this.#closing ??= stop();
    return this.#closing;
  }
}

interface Refused extends Refusal {
  readonly session: number;
  readonly peer: string;
}

/**
 * Of messages of its own, such as answers that wait, a session may have so much
 * each way whatever the others have.
 */
const FREE_CONTROL_BYTES = 65_536;

/** A connection's place among the others. */
interface Place {
  readonly admission: Admission;
  readonly visit: Visit;
  /** What all connections share. */
  readonly memory: Memory;
}

/** One connection of one client. */
class Connection {
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
  #revoked: LimpetError | null = null;
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
    this.#revoked = new LimpetError("unauthenticated", "Identity was revoked");
    if (this.#mux === null) this.#link.abort(this.#revoked);
    else this.#mux.fail(this.#revoked);
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

  async close(graceMs?: number): Promise<void> {
    if (this.#mux === null) {
      this.#link.abort(
        new LimpetError("shutting_down", "Server is going down"),
      );
    } else {
      await this.#exec.shutdown("shutting_down", graceMs);
      await this.#mux.close("shutting_down");
    }
    await this.#over;
  }

  async #run(authenticator: Promise<Authenticator>): Promise<void> {
    this.#report({ type: "connected" });
    const { admission, visit } = this.#place;
    let mux: Mux;
    try {
      mux = await this.#handshake(await authenticator);
    } catch (thrown) {
      const error = asLimpetError(thrown, "protocol_error", "Handshake");
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
      { ms: limits.handshakeTimeoutMs, doing: "Handshake" },
    );
    await this.#passGate();
    // Between its proof and here, too, it may have been sent away.
    if (this.#revoked !== null) throw this.#revoked;
    const mux = new Mux({
      link,
      limits,
      peerLimits,
      hold: { queue: this.#queue.hold, parts: this.#parts.hold },
      onOpen: (channel, payload) => {
        idle.stop();
        this.#exec.open(channel, payload);
      },
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
      await within(gate(), { ms, doing: "Waiting to be let in" });
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

function report({ onEvent }: ServeOptions, event: ServerEvent): void {
  try {
    onEvent?.(event);
  } catch {
    // It was told not to throw, and a command is not to pay for it.
  }
}

function idleError({ idleTimeoutMs }: ServerLimits): LimpetError {
  return new LimpetError(
    "timed_out",
    `Session has been idle for ${idleTimeoutMs} ms, as long as the limit ` +
      "idleTimeoutMs allows",
  );
}

type ServerEventBody = ServerEvent extends infer E
  ? E extends unknown ? Omit<E, "time" | "session" | "peer" | "identity">
  : never
  : never;

async function authenticatorOf(options: ServeOptions): Promise<Authenticator> {
  const { token, authenticator } = options;
  if ((token === undefined) === (authenticator === undefined)) {
    throw new LimpetError(
      "invalid_argument",
      "A server needs either a token or an authenticator",
    );
  }
  return authenticator ?? await tokenAuthenticator(token!);
}
