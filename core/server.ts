/**
 * The server: takes connections, lets in who proves the token, runs commands.
 *
 * @module
 */

import { Admission } from "./admission/admission.ts";
import { type Refusal, Refusals } from "./admission/refusals.ts";
import {
  type Authenticator,
  tokenAuthenticator,
} from "./auth/authenticator.ts";
import { deferred } from "./deferred.ts";
import { LimpetError } from "./errors.ts";
import { checkTimer } from "./exec/request.ts";
import type { Identity, WhyGone } from "./identity.ts";
import { Jobs } from "./jobs/jobs.ts";
import { Memory } from "./memory.ts";
import type { Duplex, Listener } from "./ports.ts";
import { Authorization } from "./server/authorization.ts";
import { Connection } from "./server/connection.ts";
import type { Host } from "./server/host.ts";
import {
  type JobsFolder,
  report,
  type ServeOptions,
} from "./server/options.ts";
import { Patience } from "./server/patience.ts";
import { revoked } from "./server/session.ts";
import { Sessions } from "./server/sessions.ts";
import { resolveServerLimits } from "./server_limits.ts";

export type { ServerEvent } from "./server/event.ts";
export type { JobsFolder, ServeOptions };

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

/** How much longer than it may take to end everything `close` waits, in ms. */
const STUCK_MS = 5_000;

/** Serves connections from a listener, or handed over one by one. */
export class Server implements AsyncDisposable {
  readonly #host: Host;
  readonly #sessions = new Sessions();
  readonly #refusals: Refusals<Refused>;
  #authenticator: Promise<Authenticator>;
  readonly #connections = new Set<Connection>();
  readonly #listeners = new Set<Listener>();
  #count = 0;
  #closing: Promise<void> | null = null;
  /** Resolved when commands are being ended. */
  readonly #ending = deferred<void>();
  readonly #patience = new Patience();
  readonly #givenUp: Promise<void>;

  /** Use {@linkcode serve}, or this one for connections of another origin. */
  constructor(options: ServeOptions) {
    const limits = resolveServerLimits(options.limits);
    const { maxTotalBufferedBytes } = limits;
    this.#host = {
      options,
      limits,
      admission: new Admission(limits),
      memory: new Memory("maxTotalBufferedBytes", maxTotalBufferedBytes),
      authorization: new Authorization(options, limits),
      jobs: new Jobs({
        folder: options.jobs,
        limits,
        problem: (message) =>
          report(options, {
            type: "jobs_problem",
            time: Date.now(),
            session: 0,
            peer: "server",
            identity: null,
            message,
          }),
      }),
    };
    this.#refusals = new Refusals((last, count) =>
      report(options, {
        type: "refused",
        time: Date.now(),
        identity: null,
        ...last,
        count,
      })
    );
    this.#givenUp = this.#patience.over.then(() => this.#giveUp());
    this.#authenticator = authenticatorOf(options);
    this.#authenticator.catch(() => {});
  }

  /**
   * Rejects with `invalid_argument` if the token is too short, and with
   * `resource_exhausted` if the folder of jobs is to be opened and cannot be.
   */
  async ready(): Promise<void> {
    await this.#authenticator;
    const { options, jobs } = this.#host;
    if (options.jobs?.eager) await jobs.ready();
  }

  /** Decides on who connects from now on. Sessions that are open stay. */
  replaceAuthenticator(authenticator: Authenticator): void {
    this.#authenticator = Promise.resolve(authenticator);
  }

  /**
   * Commands that run, or whose output is still being sent, on all sessions and
   * without one.
   */
  get commandCount(): number {
    return this.#host.jobs.runningCount + this.#sessions.commandCount;
  }

  /** Connections that are open, authenticated or not. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Takes connections until the listener ends or the server closes. */
  async listen(listener: Listener): Promise<void> {
    // At once: a server that is closed before it is ready closes it as well.
    this.#listeners.add(listener);
    try {
      if (this.#closing !== null) await listener.close();
      await this.ready();
      for await (const duplex of listener) this.accept(duplex);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /**
   * Serves one connection. Settles when it is over; rejects for one that somebody
   * else reads already, and never otherwise.
   */
  accept(duplex: Duplex): Promise<void> {
    const session = ++this.#count;
    const peer = duplex.peer ?? "peer";
    const visit = this.#host.admission.admit(peer);
    if ("reason" in visit) {
      duplex.readable.cancel().catch(() => {});
      duplex.writable.abort().catch(() => {});
      this.#refusals.add({ ...visit, session, peer });
      return Promise.resolve();
    }
    let connection: Connection;
    try {
      connection = new Connection(
        duplex,
        session,
        visit,
        this.#host,
        this.#sessions,
      );
    } catch (error) {
      this.#host.admission.leave(visit);
      this.#host.admission.end(visit);
      return Promise.reject(error);
    }
    this.#connections.add(connection);
    if (this.#closing !== null) connection.turn(goingDown());
    return connection.run(this.#authenticator).then(() => {
      this.#connections.delete(connection);
    });
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
    const drained = [
      this.#host.jobs.drain(),
      this.#sessions.drain(drainMs),
    ];
    await Promise.race([Promise.all(drained), timeout, this.#ending.promise]);
    clearTimeout(timer);
  }

  /**
   * Stops listening, lets commands come to their end for `drainMs`, ends those
   * that are left (SIGTERM, and SIGKILL after `graceMs`) and closes every session.
   * A number is the same as `{ graceMs }`. Settles when nothing is left; or after
   * twice `graceMs` and 5 seconds, if something does not end even by SIGKILL or
   * start: the event `command_left` names it. To be in more of a hurry, call it
   * again with shorter times: they count at once.
   */
  async close(how: number | CloseOptions = {}): Promise<void> {
    const { drainMs = 0, graceMs } = typeof how === "number"
      ? { graceMs: how }
      : how;
    if (drainMs > 0) await this.drain(drainMs);
    await this.#stopListening();
    this.#ending.resolve();
    const { limits: { shutdownGraceMs } } = this.#host;
    this.#patience.shorten(2 * (graceMs ?? shutdownGraceMs) + STUCK_MS);
    await Promise.race([this.#end(graceMs), this.#givenUp]);
    this.#patience.stop();
    this.#refusals.close();
  }

  async #end(graceMs: number | undefined): Promise<void> {
    for (const each of this.#connections) each.turn(goingDown());
    const { jobs } = this.#host;
    const jobsEnded = jobs.shutdown("shutting_down", graceMs);
    await Promise.all([jobsEnded, this.#sessions.close(jobsEnded, graceMs)]);
    await Promise.all([...this.#connections].map(({ over }) => over));
    await jobs.close();
  }

  /** What does not end holds up nobody else, and is named. */
  async #giveUp(): Promise<void> {
    for (const entry of this.#host.jobs.registry.running()) {
      const { id, owner, pid, argv, shell } = entry;
      report(this.#host.options, {
        type: "command_left",
        time: Date.now(),
        session: 0,
        peer: "server",
        identity: owner.name,
        jobId: id,
        pid,
        argv,
        shell,
      });
    }
    await this.#sessions.leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Ends every session of the identities that `gone` names, commands and jobs
   * included, as when they had closed it: for one that was revoked. What it gives
   * may say why, in words that the client is told (`logged` is for `onEvent`
   * alone): `true` is that it was revoked, and whoever gets `false`, `null` or no
   * words stays. It is asked several times of each, and has to answer alike.
   * Settles when they are over.
   */
  async endSessions(
    gone: (identity: Identity) => WhyGone | false | null,
  ): Promise<void> {
    for (const each of this.#connections) {
      const why = each.newcomer !== null && gone(each.newcomer);
      if (why) each.turn(revoked(why));
    }
    await Promise.all([
      this.#host.jobs.revoke((identity) => Boolean(gone(identity))),
      this.#sessions.end(gone),
    ]);
  }

  #stopListening(): Promise<void> {
    const stop = async () => {
      await Promise.all([...this.#listeners].map((each) => each.close()));
    };
    this.#closing ??= stop();
    return this.#closing;
  }
}

function goingDown(): LimpetError {
  return new LimpetError("shutting_down", "Server is going down");
}

interface Refused extends Refusal {
  readonly session: number;
  readonly peer: string;
}

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
