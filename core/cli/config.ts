/**
 * `limpet config`: the server's configuration file, looked at.
 *
 * @module
 */

import { defaultConfigPath, loadConfig } from "../config/load.ts";
import { tell } from "../config/problem.ts";
import { SERVER_SCHEMA } from "../config/schema.ts";
import { summaryOf } from "../config/summary.ts";
import {
  auditFindings,
  policyFindings,
  tlsFindings,
} from "../config/surroundings.ts";
import { counted } from "../counted.ts";
import { LimpetError } from "../errors.ts";
import { inherited } from "../exec/environment.ts";
import { findAccount, findUser } from "../policy/run_as.ts";
import { checkAction } from "./actions.ts";
import { parseArguments, usageError } from "./args.ts";
import { ownWords } from "./codecs.ts";
import { ExitStatus } from "./exit_status.ts";
import { CONFIG_FLAGS } from "./flags.ts";
import { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Runs the subcommand; resolves to the program's exit status. */
export async function configCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, CONFIG_FLAGS);
  const [action, file, ...more] = args.positionals;
  checkAction("config", action, ["check", "schema"]);
  if (more.length > 0 || args.rest !== null) {
    throw usageError("config check takes one FILE at most");
  }
  if (action === "check") {
    return await check(runtime, file ?? defaultConfigPath(runtime));
  }
  if (file !== undefined) throw usageError("config schema takes no FILE");
  return await print(runtime, [JSON.stringify(SERVER_SCHEMA, null, 2)]);
}

async function check(runtime: CliRuntime, path: string): Promise<number> {
  const loaded = await loadConfig(runtime, path);
  if (loaded === null) {
    throw new LimpetError(
      "invalid_argument",
      `Cannot check ${path}: there is no such file`,
    );
  }
  const { config, findings } = loaded;
  const { files } = runtime;
  const { problems, warnings } = tell(
    loaded,
    findings,
    await policyFindings(loaded, files, (user) => lookUp(runtime, user)),
    await tlsFindings(loaded, runtime),
    await auditFindings(loaded, files),
  );
  // For editors and scripts: nothing before the file.
  const lines = [...problems, ...warnings];
  if (lines.length > 0) {
    const text = await ownWords(runtime, `${lines.join("\n")}\n`);
    await runtime.stderr.write(text);
  }
  if (config !== null && problems.length === 0) {
    const summary = summaryOf(config, Date.now());
    return await print(runtime, [`${path} is fine`, ...summary]);
  }
  const report = new Reporter(runtime, "info");
  report.error(`${path} has ${counted(problems.length, "mistake")}`);
  await report.flush();
  return ExitStatus.REFUSED;
}

/** Whoever looks need not be root, as the server has to be: that is a warning. */
async function lookUp(
  runtime: CliRuntime,
  user: string,
): Promise<string | null> {
  const environment = inherited(runtime.environment());
  if (runtime.isRoot() !== false) {
    await findAccount(user, runtime.spawner, environment);
    return null;
  }
  await findUser(user, { spawner: runtime.spawner, environment });
  return `only a server that was started as root can run commands as ${user}, ` +
    "and you are not root: limpet serve as you refuses this file";
}

async function print(
  runtime: CliRuntime,
  lines: readonly string[],
): Promise<number> {
  await runtime.stdout.write(await ownWords(runtime, `${lines.join("\n")}\n`));
  return 0;
}
