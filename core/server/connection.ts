/**
 * One connection of a server, from its first byte on: who is there, and which
 * session it is for.
 *
 * @module
 */

import type { Visit } from "../admission/admission.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { Identity } from "../identity.ts";
import type { Duplex } from "../ports.ts";
import { printable } from "../printable.ts";
import { type Deadline, within } from "../session/deadline.ts";
import {
  closeFrame,
  type KnownClient,
  serverHandshake,
  turnAway,
} from "../session/handshake.ts";
import type { Position, ResumeRequest } from "../session/hello.ts";
import { Carrier } from "./carrier.ts";
import type { ServerEventBody } from "./event.ts";
import type { Host } from "./host.ts";
import { report } from "./options.ts";
import { disconnected, makeKey, Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";

/** See the module's description. */
export class Connection {
  readonly #id: number;
  readonly #carrier: Carrier;
  readonly #host: Host;
  readonly #sessions: Sessions;
  readonly #visit: Visit;
  readonly #since = performance.now();
  #identity: Identity | null = null;
  /** What it says that it wants to resume. */
  #wish: ResumeRequest | null = null;
  /**
   * Aborted, with a `LimpetError`, if it may not enter any more. Null once a session
   * has it, and decides about its end.
   */
  #away: AbortController | null = new AbortController();
  #over: Promise<void> = Promise.resolve();

  constructor(
    duplex: Duplex,
    id: number,
    visit: Visit,
    host: Host,
    sessions: Sessions,
  ) {
    this.#sessions = sessions;
    this.#id = id;
    this.#carrier = new Carrier(duplex);
    this.#visit = visit;
    this.#host = host;
  }

  /** Settles when it is over, and so is its session if that cannot go on. */
  run(authenticator: Promise<Authenticator>): Promise<void> {
    this.#over = this.#run(authenticator);
    return this.#over;
  }

  get over(): Promise<void> {
    return this.#over;
  }

  /** Who is known to be there and has no session yet, or null. */
  get newcomer(): Identity | null {
    return this.#away === null ? null : this.#identity;
  }

  /** It may not enter any more. Does nothing to one that has. */
  turn(reason: LimpetError): void {
    if (this.#away === null) return;
    this.#away.abort(reason);
    this.#carrier.abort(reason);
  }

  async #run(authenticator: Promise<Authenticator>): Promise<void> {
    this.#report({ type: "connected" });
    const { admission } = this.#host;
    const carrier = this.#carrier;
    let session: Session;
    try {
      session = await this.#enter(await authenticator);
    } catch (thrown) {
      const signal = this.#away?.signal;
      const error: LimpetError = signal?.aborted
        ? signal.reason
        : asLimpetError(thrown, "protocol_error", "Handshake");
      const wished = this.#wish?.session ?? null;
      const session = this.#sessions.has(wished) ? wished : null;
      // What a peer says of its end does not decide what that costs.
      const code = carrier.dismissed ? "connection_lost" : error.code;
      admission.fail(this.#visit, code, session);
      await turnAway(carrier, error);
      admission.leave(this.#visit);
      admission.end(this.#visit);
      return this.#turnedAway(error);
    }
    // Not awaited: most of its time a connection is here, and all that is above
    // would be kept.
    return carrier.gone.then(() => {
      admission.leave(this.#visit);
      return session.key === null ? session.over : undefined;
    });
  }

  get #deadline(): Deadline {
    const ms = this.#host.limits.handshakeTimeoutMs;
    return { ms, signal: this.#away?.signal, doing: "Handshake" };
  }

  async #enter(authenticator: Authenticator): Promise<Session> {
    const { limits, options } = this.#host;
    const client = await within(
      serverHandshake(
        this.#carrier,
        authenticator,
        limits,
        options.platform,
        (resume) => this.#wish = resume,
      ),
      this.#deadline,
    );
    this.#identity = client.identity;
    const session = client.resume === null
      ? await this.#begin(client)
      : await this.#goOn(client, client.resume);
    this.#away = null;
    return session;
  }

  async #begin(client: KnownClient): Promise<Session> {
    const { admission, limits } = this.#host;
    const { identity, key: provedBy, isSole, peerLimits, roundTripMs } = client;
    admission.prove(this.#visit, identity.name);
    // Before our PROOF: a client that is turned away here knows that nothing of
    // what it has sent along was begun.
    await this.#passGate();
    const graceMs = identity.graceMs ?? limits.graceMs;
    const key = client.resumes && graceMs > 0 ? makeKey() : null;
    const told = Math.min(graceMs, Number.MAX_SAFE_INTEGER);
    const kept = key === null ? {} : { session: { id: key, graceMs: told } };
    await within(client.welcome(kept), this.#deadline);
    // Between its proof and here, too, it may have been sent away.
    this.#away?.signal.throwIfAborted();
    const session = new Session(this.#host, {
      id: this.#id,
      // Not what the handshake still holds.
      client: { identity, key: provedBy, isSole },
      carrier: this.#carrier,
      visit: this.#visit,
      peerLimits,
      roundTripMs,
      key,
      graceMs,
    });
    this.#sessions.add(session);
    session.start();
    return session;
  }

  async #goOn(client: KnownClient, wish: ResumeRequest): Promise<Session> {
    const { admission } = this.#host;
    const { identity, roundTripMs } = client;
    const carrier = this.#carrier;
    await this.#passGate();
    const session = this.#sessions.find(wish.session, client);
    let resumed: Position | undefined;
    try {
      resumed = await session?.claim(carrier, wish);
    } finally {
      // Not before: the connection that it had has left its place by now.
      admission.proveAgain(this.#visit, identity.name);
    }
    if (session === null || resumed === undefined) {
      // Whatever the reason, in the same words.
      const message = "Session is not known here, or not any more";
      const proved = client.welcome({}, closeFrame("closed", message));
      await within(proved.then(() => carrier.close()), this.#deadline);
      throw new LimpetError("connection_lost", message);
    }
    await within(client.welcome({ resumed }), this.#deadline);
    this.#away?.signal.throwIfAborted();
    session.resume(carrier, wish, roundTripMs, this.#id);
    return session;
  }

  /** Who has proved the token is told what is the matter, and nobody else. */
  async #passGate(): Promise<void> {
    const { gate } = this.#host.options;
    if (gate === undefined) return;
    try {
      const doing = "Waiting to be let in";
      await within(gate(), { ...this.#deadline, doing });
    } catch (error) {
      const { message } = asLimpetError(error, "refused", "Connecting");
      throw new LimpetError("limit_exceeded", message, { cause: error });
    }
  }

  #turnedAway(error: LimpetError): void {
    const { code, cause } = error;
    // Why somebody was not let in is told here and nowhere else.
    const message = code === "unauthenticated" && typeof cause === "string"
      ? `${error.message}: ${printable(cause)}`
      : error.message;
    this.#report(disconnected(code, message, false, this.#since));
  }

  #report(event: ServerEventBody): void {
    report(this.#host.options, {
      time: Date.now(),
      session: this.#id,
      peer: this.#carrier.peer,
      identity: this.#identity?.name ?? null,
      ...event,
    });
  }
}
