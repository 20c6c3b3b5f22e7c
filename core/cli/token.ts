/**
 * `limpet token`: who may connect, by the server's configuration file.
 *
 * @module
 */

import { makeToken } from "../auth/token.ts";
import { readLastUses, type Use } from "../config/last_use.ts";
import { isExpired } from "../config/summary.ts";
import type { IdentityEntry } from "../config/types.ts";
import { removeIdentity } from "../config/update.ts";
import { LimpetError } from "../errors.ts";
import { checkAction } from "./actions.ts";
import { type Arguments, parseArguments, usageError } from "./args.ts";
import { ownWords } from "./codecs.ts";
import { TOKEN_FLAGS } from "./flags.ts";
import { addIdentity, configPath, soundConfig } from "./identity_flags.ts";
import { checkFolder, makeSecretFile } from "./new_file.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime, StandardOutput } from "./runtime.ts";
import { tableText } from "./table.ts";

const ACTIONS = ["add", "list", "revoke"] as const;

/** Which flags belong to which action. */
const OWN: Readonly<Record<string, string>> = {
  expires: "add",
  from: "add",
  out: "add",
  json: "list",
};

/** Runs the subcommand; resolves to the program's exit status. */
export async function tokenCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, TOKEN_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  const [action, name, ...more] = args.positionals;
  checkAction("token", action, ACTIONS);
  for (const [flag, whose] of Object.entries(OWN)) {
    if (args.has(flag) && action !== whose) {
      throw usageError(`--${flag} is for token ${whose}`);
    }
  }
  if (args.rest !== null || more.length > 0) {
    throw usageError(`token ${action} takes nothing more`);
  }
  if (action === "list") {
    if (name !== undefined) throw usageError("token list takes no NAME");
    await list(runtime, args, report);
  } else if (name === undefined) {
    throw usageError(`token ${action} needs a NAME`);
  } else if (action === "add") {
    await add(runtime, args, name, report);
  } else {
    const path = configPath(runtime, args);
    await removeIdentity(runtime, path, name);
    report.info(
      `revoked ${name} in ${path}: a server that runs with it ends its ` +
        "sessions within 2 seconds",
    );
  }
  await report.flush();
  return 0;
}

async function add(
  runtime: CliRuntime,
  args: Arguments,
  name: string,
  report: Reporter,
): Promise<void> {
  const token = makeToken();
  const out = args.value("out");
  // Before anybody is let in by it: a file that cannot be made changes nothing.
  if (out !== undefined) {
    await checkFolder(runtime, out);
    await makeSecretFile(runtime, out, `${token}\n`);
  }
  try {
    await addIdentity(runtime, args, { name, token }, report);
  } catch (error) {
    if (out !== undefined) await runtime.files.remove(out);
    throw error;
  }
  if (out !== undefined) {
    report.info(`the token is in ${out}, which they name with --token-file`);
    return;
  }
  try {
    await runtime.stdout.write(new TextEncoder().encode(`${token}\n`));
  } catch (cause) {
    throw new LimpetError(
      "write_failed",
      `Cannot print the token, which is in the file now: run "limpet token ` +
        `revoke ${name}" and add it again`,
      { cause },
    );
  }
  report.info("the token is shown this once");
}

async function list(
  runtime: CliRuntime,
  args: Arguments,
  report: Reporter,
): Promise<void> {
  const path = configPath(runtime, args);
  const config = await soundConfig(runtime, path);
  const identities = config?.identities ?? [];
  if (config?.identities == null) {
    report.info(
      "no identities: who has the one token of the token file may connect, and " +
        "nobody else (limpet help token)",
    );
  }
  const uses = await readLastUses(runtime.files, path);
  const text = args.has("json")
    ? json(identities, uses)
    : table(identities, uses, runtime.stdout);
  await runtime.stdout.write(await ownWords(runtime, text));
}

function kindOf({ token }: IdentityEntry): "token" | "key" {
  return token === undefined ? "key" : "token";
}

function json(
  identities: readonly IdentityEntry[],
  uses: ReadonlyMap<string, Use>,
): string {
  const shown = identities.map((identity) => ({
    name: identity.name,
    kind: kindOf(identity),
    publicKey: identity.publicKey,
    expires: identity.expires ?? null,
    expired: isExpired(identity, Date.now()),
    from: identity.from ?? null,
    lastUse: uses.get(identity.name) ?? null,
  }));
  return `${JSON.stringify(shown, null, 2)}\n`;
}

/** For people with a heading and columns; for programs what help promises. */
function table(
  identities: readonly IdentityEntry[],
  uses: ReadonlyMap<string, Use>,
  stdout: StandardOutput,
): string {
  const forPeople = stdout.isTerminal;
  const rows = identities.map((identity) => {
    const { name, expires, from } = identity;
    const { at, from: peer } = uses.get(name) ?? {};
    const used = at?.replace(/\.\d+Z$/, "Z");
    if (!forPeople) {
      const facts = [name, kindOf(identity), expires, from?.join(","), used];
      return [...facts, peer].map((fact) => fact ?? "-");
    }
    const over = isExpired(identity, Date.now()) ? " (over)" : "";
    return [
      name,
      kindOf(identity),
      (expires ?? "never") + over,
      from?.join(",") ?? "everywhere",
      `${used ?? "never"} ${peer ?? ""}`.trim(),
    ];
  });
  if (!forPeople) return rows.map((row) => `${row.join("\t")}\n`).join("");
  const all = [["NAME", "KIND", "EXPIRES", "FROM", "LAST USE"], ...rows];
  return tableText(all, stdout.columns(), [3, 4]);
}
