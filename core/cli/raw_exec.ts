/**
 * `limpet exec raw://…`: one line, and what one `recv` brings of its answer.
 *
 * @module
 */

import { formatTarget, type RawTarget } from "../target.ts";
import { encodeText } from "../text/mod.ts";
import { type Arguments, usageError } from "./args.ts";
import { ExitStatus } from "./exit_status.ts";
import { EXEC_FLAGS } from "./flags.ts";
import {
  answerTimeout,
  checkRawAddress,
  openRaw,
  RAW_CLIENT_FLAGS,
  rawTranslation,
  refuseFlags,
  writeAnswer,
} from "./raw_connection.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Runs the line; resolves to the program's exit status, which is never 0. */
export async function execRaw(
  runtime: CliRuntime,
  target: RawTarget,
  args: Arguments,
  report: Reporter,
): Promise<number> {
  refuseFlags(args, EXEC_FLAGS, RAW_CLIENT_FLAGS);
  const address = formatTarget(target);
  const line = args.value("command");
  if (line === undefined) {
    throw usageError(
      `${address} takes lines for its shell and no argument lists: use -c LINE`,
    );
  }
  if (line === "") {
    throw usageError("-c needs a line: an empty message sends nothing at all");
  }
  checkRawAddress(address, target.hostname, args.has("insecure"));
  const ms = answerTimeout(args);
  const translation = await rawTranslation(runtime, args);
  const message = encodeText(line, translation.theirs);
  const client = await openRaw(runtime, target, args, report);
  try {
    const answer = await client.ask(message, { ms });
    await writeAnswer(runtime.stdout, answer, translation);
  } finally {
    client.close();
  }
  report.error(
    "what became of the command is unknown: the raw protocol tells neither " +
      "where an answer ends nor how a command did",
  );
  await report.flush();
  return ExitStatus.CONNECTION;
}
