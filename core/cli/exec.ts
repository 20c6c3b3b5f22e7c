/**
 * `limpet exec`: one command, its streams, its exit status.
 *
 * @module
 */

import { parseTarget } from "../target.ts";
import { parseArguments, usageError } from "./args.ts";
import { commandFlags, withSession } from "./connection.ts";
import { refuseUnread, translationFor } from "./encoding.ts";
import { EXEC_FLAGS } from "./flags.ts";
import { follow, sayIfGoingDown } from "./follow.ts";
import { jobFlags, startDetached } from "./job_flags.ts";
import type { InSession } from "./json_output.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** What is to be run, as the command line has it. */
export interface Invocation {
  readonly command: string;
  readonly args: readonly string[] | undefined;
  readonly shell: boolean;
}

/** Runs the subcommand; resolves to the program's exit status. */
export async function execCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, EXEC_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  const invocation = readInvocation(args);
  await refuseUnread(runtime, words);
  const target = parseTarget(args.positionals[0]);
  if (target.kind === "raw") {
    const { execRaw } = await import("./raw_exec.ts");
    return await execRaw(runtime, target, args, report);
  }
  const flags = await commandFlags(runtime, args);
  const format = args.value("output") ?? "text";
  if (format !== "text" && format !== "json") {
    throw usageError(`--output ${format} is none of text and json`);
  }
  const options = {
    ...flags,
    ...jobFlags(args),
    args: invocation.args,
    shell: invocation.shell,
    stdin: args.has("stdin") ? "piped" as const : "null" as const,
  };
  const inSession: InSession = (use) => withSession(runtime, args, report, use);
  if (args.has("detach")) {
    if (format === "json") throw usageError("-d has no --output json");
    return await inSession((session) =>
      startDetached(runtime, session, invocation.command, options)
    );
  }
  if (format === "json") {
    const { runToJson } = await import("./json_output.ts");
    return await runToJson(runtime, inSession, invocation, options);
  }
  const isText = flags.encoding !== undefined || runtime.stdout.isTerminal ||
    runtime.stderr.isTerminal ||
    (options.stdin === "piped" && runtime.stdin.isTerminal);
  return await inSession(async (session) => {
    const command = session.spawn(invocation.command, options);
    sayIfGoingDown(session, command, report);
    // What the server speaks is known with its proof; bytes need not wait for it.
    const translation = isText
      ? translationFor(runtime, session, flags.encoding, report)
      : null;
    return await follow(
      runtime,
      session,
      command,
      { stdin: options.stdin, stderr: !options.merge },
      translation,
      report,
    );
  });
}

function readInvocation(
  args: ReturnType<typeof parseArguments>,
): Invocation {
  const line = args.value("command");
  const [target, ...extra] = args.positionals;
  if (target === undefined) throw usageError("exec needs a TARGET");
  if (extra.length > 0) {
    throw usageError(
      `"${extra[0]}" after the TARGET: write -- before the command and its ` +
        "arguments",
    );
  }
  if (line !== undefined) {
    if (args.rest !== null) {
      throw usageError("-c LINE and a command after -- exclude each other");
    }
    return { command: line, args: undefined, shell: true };
  }
  const [program, ...rest] = args.rest ?? [];
  if (program === undefined || program === "") {
    throw usageError("exec needs a command: -- CMD ARG..., or -c LINE");
  }
  return { command: program, args: rest, shell: false };
}
