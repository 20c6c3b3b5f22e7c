/**
 * The raw protocol's server: what one `recv` brings is a command, its output is
 * the answer. No frames, no authentication; see README.md beside this file.
 *
 * @module
 */

import type { Duplex, Listener } from "../ports.ts";
import { Connection } from "./connection.ts";
import { DEFAULT_MAX_CONNECTIONS, type RawServeOptions } from "./options.ts";

/** Serves connections from a listener, or handed over one by one. */
export class RawServer implements AsyncDisposable {
  readonly #options: RawServeOptions;
  readonly #connections = new Set<Connection>();
  /** Those too many, until they have been told. */
  readonly #refused = new Set<Connection>();
  readonly #listeners = new Set<Listener>();
  #count = 0;
  #closing: Promise<void> | null = null;

  constructor(options: RawServeOptions) {
    this.#options = options;
  }

  /** Connections that are open and served. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Takes connections until the listener ends or the server closes. */
  async listen(listener: Listener): Promise<void> {
    this.#listeners.add(listener);
    for await (const duplex of listener) this.accept(duplex);
    this.#listeners.delete(listener);
  }

  /** Serves one connection. Settles when it is over; never rejects. */
  async accept(duplex: Duplex): Promise<void> {
    const max = this.#options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    const isRefused = this.#connections.size >= max;
    const connections = isRefused ? this.#refused : this.#connections;
    const connection = new Connection(duplex, ++this.#count, this.#options, {
      isRefused,
      // Telling takes a moment, and that many moments are bounded as well.
      isTold: this.#refused.size < max,
    });
    connections.add(connection);
    if (this.#closing !== null) connection.close();
    await connection.over;
    connections.delete(connection);
  }

  /**
   * Stops listening, ends every command (SIGTERM, and SIGKILL after `graceMs`)
   * and every connection. Settles when nothing is left. To be in more of a
   * hurry, call it again with a shorter time.
   */
  async close(graceMs?: number): Promise<void> {
    this.#closing ??= this.#stopListening();
    await this.#closing;
    await Promise.all(
      [...this.#connections, ...this.#refused]
        .map((each) => each.close(graceMs)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #stopListening(): Promise<void> {
    await Promise.all([...this.#listeners].map((each) => each.close()));
  }
}
