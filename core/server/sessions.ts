/**
 * The sessions of a server, with a connection or waiting for one.
 *
 * @module
 */

import type { Identity, Proven, WhyGone } from "../identity.ts";
import type { Session } from "./session.ts";

/** See the module's description. */
export class Sessions {
  readonly #all = new Set<Session>();
  readonly #byKey = new Map<string, Session>();
  /** How long what runs has, once the server is going down. */
  #drainMs: number | null = null;

  /** Commands that run, or whose output is still being sent, on all of them. */
  get commandCount(): number {
    let count = 0;
    for (const each of this.#all) count += each.commandCount;
    return count;
  }

  /** One has begun. */
  add(session: Session): void {
    this.#all.add(session);
    if (session.key !== null) this.#byKey.set(session.key, session);
    session.over.then(() => {
      this.#all.delete(session);
      if (session.key !== null) this.#byKey.delete(session.key);
    });
    if (this.#drainMs !== null) session.drain(this.#drainMs);
  }

  /** Whether there is one with that key, whosever it is. */
  has(key: string | null): boolean {
    return key !== null && this.#byKey.has(key);
  }

  /** The one with that key, if it is theirs and not over. */
  find(key: string, { identity, key: proved }: Proven): Session | null {
    const session = this.#byKey.get(key);
    if (session === undefined || session.isOver) return null;
    const { client } = session;
    // A name that was given to somebody else is not theirs.
    const theirs = client.identity.name === identity.name &&
      client.key === proved;
    return theirs ? session : null;
  }

  /** As `Server.drain`. Those that begin later are told as well. */
  async drain(drainMs: number): Promise<void> {
    this.#drainMs = drainMs;
    await Promise.all([...this.#all].map((each) => each.drain(drainMs)));
  }

  /** As `Server.close`. `jobsEnded`: see `Session.close`. */
  async close(jobsEnded: Promise<void>, graceMs?: number): Promise<void> {
    await Promise.all(
      [...this.#all].map((each) => each.close(jobsEnded, graceMs)),
    );
  }

  /** Takes leave of all clients, whatever still runs. */
  async leave(): Promise<void> {
    await Promise.all([...this.#all].map((each) => each.leave()));
  }

  /** As `Server.endSessions`. */
  async end(
    gone: (identity: Identity) => WhyGone | false | null,
  ): Promise<void> {
    await Promise.all(
      [...this.#all].map((each) => {
        const why = gone(each.client.identity);
        return why ? each.revoke(why) : undefined;
      }),
    );
  }
}
