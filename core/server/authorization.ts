/**
 * The one place where it is decided what becomes of a request to run a command.
 *
 * @module
 */

import { counted } from "../counted.ts";
import { LimpetError } from "../errors.ts";
import type { Authorize, Authorized } from "../exec/authorized.ts";
import type { ExecRequest } from "../exec/request.ts";
import type { Identity } from "../identity.ts";
import type { ServerLimits } from "../server_limits.ts";

/** Who asks, and from where. */
export interface Asker {
  readonly identity: Identity;
  readonly session: number;
  readonly peer: string;
}

/** What is asked on all connections of a server. */
export interface AuthorizationOptions {
  readonly gate?: () => Promise<void>;
  /** Default: whoever is let in may run anything. */
  readonly authorize?: Authorize;
}

/** How many commands there may be at once, over all sessions. */
export type CommandLimits = Pick<
  ServerLimits,
  "maxTotalCommands" | "maxCommandsPerIdentity"
>;

/** Counts the commands of each identity, and of all. One for each server. */
export class Authorization {
  readonly #options: AuthorizationOptions;
  readonly #limits: CommandLimits;
  readonly #running = new Map<string, number>();
  #total = 0;

  constructor(options: AuthorizationOptions, limits: CommandLimits) {
    this.#options = options;
    this.#limits = limits;
  }

  /**
   * Rejects with a `LimpetError` if the request is not to be run. Counts it as
   * running at once, so that many at a time are not more than one by one.
   */
  async decide(asker: Asker, request: ExecRequest): Promise<Authorized> {
    const { identity, ...from } = asker;
    const running = this.#running.get(identity.name) ?? 0;
    this.#running.set(identity.name, running + 1);
    const { maxCommandsPerIdentity, maxTotalCommands } = this.#limits;
    const total = this.#total++;
    if (running >= maxCommandsPerIdentity) {
      throw full(
        running,
        "for this identity",
        "maxCommandsPerIdentity (--max-commands-per-identity)",
      );
    }
    if (total >= maxTotalCommands) {
      throw full(
        total,
        "for all",
        "maxTotalCommands (--max-total-commands)",
      );
    }
    const { gate, authorize } = this.#options;
    await gate?.();
    if (authorize === undefined) return { request };
    try {
      return await authorize(identity, request, { ...from, running });
    } catch (error) {
      if (error instanceof LimpetError) throw error;
      // Nobody has allowed it; why not is no business of the client's.
      const message = "Server could not decide whether this may be run";
      throw new LimpetError("refused", message, { cause: error });
    }
  }

  /** A command of that identity has ended, or did not start. */
  ended({ name }: Identity): void {
    this.#total--;
    const running = (this.#running.get(name) ?? 1) - 1;
    if (running > 0) this.#running.set(name, running);
    else this.#running.delete(name);
  }
}

function full(count: number, whose: string, limit: string): LimpetError {
  return new LimpetError(
    "limit_exceeded",
    `Server runs ${
      counted(count, "command")
    } ${whose} already, as many as its ` +
      `limit ${limit} allows`,
  );
}
