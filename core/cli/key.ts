/**
 * `limpet key`: key pairs, for those who do not want to share a secret.
 *
 * @module
 */

import { checkPublicKey, KeyPair, makeKeyPair } from "../auth/key_pair.ts";
import { knownHostsPath } from "../known_hosts_file.ts";
import { formatTarget, parseTarget } from "../target.ts";
import { checkAction } from "./actions.ts";
import { type Arguments, parseArguments, usageError } from "./args.ts";
import { KEY_FLAGS } from "./flags.ts";
import { trustHostKey } from "./host_keys.ts";
import { addIdentity, defaultIdentityPath } from "./identity_flags.ts";
import { showKeys } from "./key_show.ts";
import { checkFolder, makeSecretFile } from "./new_file.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

const ACTIONS = ["new", "add", "trust", "show"] as const;

/** Which flags belong to which actions. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  expires: ["add"],
  from: ["add"],
  config: ["add", "show"],
  out: ["new"],
};

/** Words after the action, and what to say of any other number of them. */
const WORDS: Readonly<Record<string, readonly [readonly number[], string]>> = {
  new: [[0], "key new takes no arguments"],
  add: [[2], "key add needs a NAME and a PUBLIC key, and nothing more"],
  trust: [
    [2],
    "key trust needs a TARGET and its server's KEY, and nothing more",
  ],
  show: [[0, 1], "key show takes one of host, cert, own and a FILE at most"],
};

/** Runs the subcommand; resolves to the program's exit status. */
export async function keyCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, KEY_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  const [action, ...given] = args.positionals;
  checkAction("key", action, ACTIONS);
  for (const [flag, whose] of Object.entries(OWN)) {
    if (args.has(flag) && !whose.includes(action)) {
      throw usageError(`--${flag} is for key ${whose.join(" and ")}`);
    }
  }
  const [counts, usage] = WORDS[action];
  if (args.rest !== null || !counts.includes(given.length)) {
    throw usageError(usage);
  }
  if (action === "new") await make(runtime, args, report);
  else if (action === "trust") {
    const [address, key] = given;
    await trust(runtime, address, key, report);
  } else if (action === "show") {
    await showKeys(runtime, args, given[0]);
  } else {
    const [name, publicKey] = given;
    await addIdentity(runtime, args, { name, publicKey }, report);
    report.info(
      "a server that runs with it lets them in at once, and prints its own key " +
        "if it had none (limpet key show host)",
    );
  }
  await report.flush();
  return 0;
}

async function make(
  runtime: CliRuntime,
  args: Arguments,
  report: Reporter,
): Promise<void> {
  const out = args.value("out");
  if (out !== undefined) await checkFolder(runtime, out);
  const path = out ?? defaultIdentityPath(runtime);
  const pem = await makeKeyPair();
  const { publicKey } = await KeyPair.fromPem(pem);
  await makeSecretFile(runtime, path, pem);
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
