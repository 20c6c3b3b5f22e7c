/**
 * The policies of the configuration, as `limpet serve` applies them.
 *
 * @module
 */

import type { Loaded } from "../config/load.ts";
import type { LiveIdentities } from "../config/live.ts";
import { tell, type Told } from "../config/problem.ts";
import { policyFindings } from "../config/surroundings.ts";
import { LimpetError } from "../errors.ts";
import type { Authorize } from "../exec/authorized.ts";
import { inherited } from "../exec/environment.ts";
import { policyAuthorizer } from "../policy/authorizer.ts";
import { type Account, findAccount } from "../policy/run_as.ts";
import type { CliRuntime } from "./runtime.ts";

/**
 * The users as whom commands run. They are looked up when the configuration is
 * read: at the start, at SIGHUP, and when it has changed.
 */
export class Accounts {
  readonly #runtime: CliRuntime;
  #found = new Map<string, Promise<Account>>();

  constructor(runtime: CliRuntime) {
    this.#runtime = runtime;
  }

  /** Rejects with `unsupported` for one as whom commands cannot be run. */
  of(user: string): Promise<Account> {
    const all = this.#found;
    const known = all.get(user);
    if (known !== undefined) return known;
    const { spawner } = this.#runtime;
    const environment = inherited(this.#runtime.environment());
    const found = findAccount(user, spawner, environment);
    all.set(user, found);
    // Whoever asks next may have more luck.
    found.catch(() => all.delete(user));
    return found;
  }

  /** Looks everybody up anew whom the configuration names. */
  async examine(loaded: Loaded): Promise<Told> {
    this.#found = new Map();
    const { files } = this.#runtime;
    const findings = await policyFindings(loaded, files, async (user) => {
      await this.of(user);
      return null;
    });
    return tell(loaded, findings);
  }
}

/** Decides by what the configuration says at the moment. */
export function policiesOf(
  runtime: CliRuntime,
  identities: LiveIdentities,
  accounts: Accounts,
): Authorize {
  return policyAuthorizer({
    policyOf(identity) {
      const entry = identities.entryOf(identity);
      if (entry !== null) return entry.policy;
      // Its session is about to end.
      const message = `The server does not know "${identity.name}" any more`;
      throw new LimpetError("refused", message);
    },
    realPath: (path) => runtime.files.realPath(path),
    accountOf: (user) => accounts.of(user),
  });
}
