/**
 * `limpet config`: the server's configuration file, looked at.
 *
 * @module
 */

import { defaultConfigPath, loadConfig } from "../config/load.ts";
import { SERVER_SCHEMA } from "../config/schema.ts";
import { summaryOf } from "../config/summary.ts";
import { LimpetError } from "../errors.ts";
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
  const { config, problems } = loaded;
  if (config !== null) {
    const summary = summaryOf(config, Date.now());
    return await print(runtime, [`${path} is fine`, ...summary]);
  }
  // As compilers have it, for editors and scripts: nothing before the file.
  const lines = await ownWords(runtime, `${problems.join("\n")}\n`);
  await runtime.stderr.write(lines);
  const report = new Reporter(runtime, "info");
  const mistakes = problems.length === 1 ? "mistake" : "mistakes";
  report.error(`${path} has ${problems.length} ${mistakes}`);
  await report.flush();
  return ExitStatus.REFUSED;
}

async function print(
  runtime: CliRuntime,
  lines: readonly string[],
): Promise<number> {
  await runtime.stdout.write(await ownWords(runtime, `${lines.join("\n")}\n`));
  return 0;
}
