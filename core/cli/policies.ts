/**
 * The policies of the configuration, as `limpet serve` applies them.
 *
 * @module
 */

import type { LiveIdentities } from "../config/live.ts";
import { LimpetError } from "../errors.ts";
import type { Authorize } from "../exec/authorized.ts";
import { inherited } from "../exec/environment.ts";
import { policyAuthorizer } from "../policy/authorizer.ts";
import { type Account, findAccount } from "../policy/run_as.ts";
import type { CliRuntime } from "./runtime.ts";

/**
 * Decides by what the configuration says at the moment. Throws `unsupported` if
 * it names a user whom commands cannot be run as.
 */
export async function openPolicies(
  runtime: CliRuntime,
  identities: LiveIdentities,
): Promise<Authorize> {
  const accounts = new Map<string, Account>();
  const accountOf = async (user: string) => {
    const known = accounts.get(user);
    if (known !== undefined) return known;
    const environment = inherited(runtime.environment());
    const found = await findAccount(user, runtime.spawner, environment);
    accounts.set(user, found);
    return found;
  };
  for (const { policy } of identities.config?.identities ?? []) {
    if (policy?.runAs !== undefined) await accountOf(policy.runAs);
  }
  return policyAuthorizer({
    policyOf(identity) {
      const entry = identities.entryOf(identity);
      if (entry !== null) return entry.policy;
      // Its session is about to end.
      const message = `The server does not know "${identity.name}" any more`;
      throw new LimpetError("refused", message);
    },
    realPath: (path) => runtime.files.realPath(path),
    accountOf,
  });
}
