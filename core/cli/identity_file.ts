/**
 * A private key instead of a token: `--identity-file`.
 *
 * @module
 */

import { type HostKeyCheck, KeyCredential } from "../auth/key_credential.ts";
import { checkPublicKey } from "../auth/key_pair.ts";
import { readPrivateKey } from "../config/host_key.ts";
import { LimpetError } from "../errors.ts";
import type { Target } from "../target.ts";
import type { Arguments } from "./args.ts";
import { checkHostKey } from "./host_keys.ts";
import type { CliRuntime } from "./runtime.ts";

/**
 * The key pair in a file. The server's own key has to be that of `--host-key`,
 * or the one on record; but over TLS, a Unix socket and the stdio of a program,
 * what carries us has seen to who is there.
 */
export async function keyCredential(
  runtime: CliRuntime,
  args: Arguments,
  path: string,
  target: Target,
): Promise<KeyCredential> {
  const pair = await readPrivateKey(runtime, path);
  if (pair === null) {
    throw new LimpetError(
      "invalid_argument",
      `There is no private key ${path}: "limpet key new" makes one`,
    );
  }
  const given = args.value("host-key");
  if (given !== undefined) {
    return new KeyCredential(pair, checkPublicKey(given));
  }
  const check: HostKeyCheck = target.kind === "tcp"
    ? ({ hostKey }) => checkHostKey(runtime, target, hostKey)
    : () => {};
  return new KeyCredential(pair, check);
}
