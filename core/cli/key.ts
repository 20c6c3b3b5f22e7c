/**
 * `limpet key`: key pairs, for those who do not want to share a secret.
 *
 * @module
 */

import { checkPublicKey, KeyPair, makeKeyPair } from "../auth/key_pair.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { knownHostsPath } from "../known_hosts_file.ts";
import { formatTarget, parseTarget } from "../target.ts";
import { configDirectory } from "../token_file.ts";
import { checkAction } from "./actions.ts";
import { type Arguments, parseArguments, usageError } from "./args.ts";
import { KEY_FLAGS } from "./flags.ts";
import { trustHostKey } from "./host_keys.ts";
import { addIdentity } from "./identity_flags.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Which flags belong to which action. */
const OWN: Readonly<Record<string, string>> = {
  expires: "add",
  from: "add",
  config: "add",
  out: "new",
};

/** Runs the subcommand; resolves to the program's exit status. */
export async function keyCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, KEY_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  const [action, ...given] = args.positionals;
  checkAction("key", action, ["new", "add", "trust"]);
  for (const [flag, whose] of Object.entries(OWN)) {
    if (args.has(flag) && action !== whose) {
      throw usageError(`--${flag} is for key ${whose}`);
    }
  }
  if (args.rest !== null || given.length !== (action === "new" ? 0 : 2)) {
    throw usageError(
      action === "new"
        ? "key new takes no arguments"
        : action === "add"
        ? "key add needs a NAME and a PUBLIC key, and nothing more"
        : "key trust needs a TARGET and its server's KEY, and nothing more",
    );
  }
  if (action === "new") await make(runtime, args, report);
  else if (action === "trust") {
    const [address, key] = given;
    await trust(runtime, address, key, report);
  } else {
    const [name, publicKey] = given;
    await addIdentity(runtime, args, { name, publicKey }, report);
  }
  await report.flush();
  return 0;
}

/** Where a client's own key pair is unless another file is named. */
export function defaultIdentityPath(runtime: CliRuntime): string {
  const slash = runtime.isWindows ? "\\" : "/";
  return `${configDirectory(runtime)}${slash}identity_key`;
}

async function make(
  runtime: CliRuntime,
  args: Arguments,
  report: Reporter,
): Promise<void> {
  const path = args.value("out") ?? defaultIdentityPath(runtime);
  const pem = await makeKeyPair();
  const { publicKey } = await KeyPair.fromPem(pem);
  const made = await runtime.files.createPrivate(path, pem).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot write key ${path}`);
  });
  if (!made) {
    throw new LimpetError(
      "invalid_argument",
      `There is a file ${path} already, which is left as it is: name another ` +
        "with --out FILE",
    );
  }
  await runtime.stdout.write(new TextEncoder().encode(`${publicKey}\n`));
  report.info(`the private key is in ${path}, for this machine alone`);
  report.info(`on the server: limpet key add NAME ${publicKey}`);
}

async function trust(
  runtime: CliRuntime,
  address: string,
  key: string,
  report: Reporter,
): Promise<void> {
  const target = parseTarget(address);
  if (target.kind !== "tcp") {
    throw usageError(
      `Keys are kept of servers at host:port, not of ${formatTarget(target)}`,
    );
  }
  checkPublicKey(key);
  const added = await trustHostKey(runtime, target, key);
  const path = knownHostsPath(runtime);
  report.info(added ? `added to ${path}` : `${path} has it already`);
}
