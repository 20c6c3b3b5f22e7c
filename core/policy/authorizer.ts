/**
 * Policies as a server's `authorize`.
 *
 * @module
 */

import type { Authorize } from "../exec/authorized.ts";
import type { Identity } from "../identity.ts";
import { decide } from "./decide.ts";
import type { Policy } from "./policy.ts";
import { type Account, asAccount } from "./run_as.ts";

/** What policies are applied with. */
export interface AuthorizerOptions {
  /** The identity's policy; undefined if it may do what the server's user may. */
  readonly policyOf: (identity: Identity) => Policy | undefined;
  /**
   * A directory without symbolic links and `..`, from a path that may be relative
   * to the directory that the server's commands start in; null if there is none.
   */
  readonly realPath: (path: string) => Promise<string | null>;
  /** The user whom a policy's `runAs` names: `findAccount`, or one found before. */
  readonly accountOf?: (user: string) => Promise<Account>;
}

/** Decides by each identity's policy. */
export function policyAuthorizer(options: AuthorizerOptions): Authorize {
  const { policyOf, realPath } = options;
  return async (identity, request, { running }) => {
    const policy = policyOf(identity);
    if (policy === undefined) return { request };
    const { runAs } = policy;
    const account = runAs === undefined
      ? undefined
      : await accountOf(options, runAs);
    const roots = await Promise.all((policy.cwd ?? []).map(realPath));
    const authorized = decide(policy, identity.name, request, {
      running,
      cwd: request.cwd === undefined ? null : await realPath(request.cwd),
      roots,
    });
    if (account === undefined) return authorized;
    const home = await realPath(account.home) ?? "/";
    return asAccount(account, home, authorized);
  };
}

async function accountOf(
  { accountOf }: AuthorizerOptions,
  user: string,
): Promise<Account> {
  // Never as the server's own user instead.
  if (accountOf !== undefined) return await accountOf(user);
  throw new TypeError(`There is nobody to look up the user ${user}`);
}
