/**
 * `limpet shell`: the prompt, over a connection.
 *
 * @module
 */

import { parseTarget } from "../target.ts";
import { parseArguments, usageError } from "./args.ts";
import { commandFlags, withSession } from "./connection.ts";
import { refuseUnread } from "./encoding.ts";
import { SHELL_FLAGS } from "./flags.ts";
import { runPrompt } from "./prompt.ts";
import { shellRaw } from "./raw_prompt.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Runs the subcommand; resolves to the program's exit status. */
export async function shellCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, SHELL_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  if (args.positionals.length !== 1 || args.rest !== null) {
    throw usageError("shell needs one TARGET and nothing more");
  }
  const target = parseTarget(args.positionals[0]);
  if (target.kind === "raw") {
    return await shellRaw(runtime, target, args, report);
  }
  await refuseUnread(runtime, words);
  const flags = await commandFlags(runtime, args);
  return await withSession(
    runtime,
    args,
    report,
    (session) => runPrompt(runtime, session, flags, report),
  );
}
