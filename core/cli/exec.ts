/**
 * `limpet exec`: one command, its streams, its exit status.
 *
 * @module
 */

import type { Session } from "../client.ts";
import type { RemoteCommand } from "../exec/client.ts";
import type { CommandStatus } from "../exec/exit.ts";
import { feed } from "../exec/output.ts";
import { parseTarget } from "../target.ts";
import { parseArguments, usageError } from "./args.ts";
import { commandFlags, withSession } from "./connection.ts";
import { refuseUnread, type Translation, translationFor } from "./encoding.ts";
import { isUnknown, signalStatus, statusOf } from "./exit_status.ts";
import { EXEC_FLAGS } from "./flags.ts";
import { inWords } from "./go_down.ts";
import { type InSession, runToJson } from "./json_output.ts";
import { pumpOutput } from "./pump.ts";
import { execRaw } from "./raw_exec.ts";
import { reasonWords } from "./reasons.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime, StandardOutput } from "./runtime.ts";
import { passSignals } from "./signals.ts";
import { Standstill, STANDSTILL_MS } from "./standstill.ts";

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
    return await execRaw(runtime, target, args, report);
  }
  const flags = await commandFlags(runtime, args);
  const format = args.value("output") ?? "text";
  if (format !== "text" && format !== "json") {
    throw usageError(`--output ${format} is none of text and json`);
  }
  const options = {
    ...flags,
    args: invocation.args,
    shell: invocation.shell,
    stdin: args.has("stdin") ? "piped" as const : "null" as const,
  };
  const inSession: InSession = (use) => withSession(runtime, args, report, use);
  if (format === "json") {
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
    return await run(runtime, command, options, translation, report);
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

/** The command goes on; but whoever counts on the server should know. */
function sayIfGoingDown(
  session: Session,
  command: RemoteCommand,
  report: Reporter,
): void {
  let over = false;
  command.status.catch(() => {}).finally(() => over = true);
  session.goingAway.then(({ drainMs }) => {
    if (over) return;
    const time = drainMs === undefined
      ? "some time"
      : `up to ${inWords(drainMs)}`;
    report.warn(`the server is going down: the command has ${time}`);
  });
}

async function run(
  runtime: CliRuntime,
  command: RemoteCommand,
  options: { stdin: "piped" | "null"; merge: boolean },
  translation: Promise<Translation> | null,
  report: Reporter,
): Promise<number> {
  const standstill = new Standstill();
  const givenUp = new Promise<string>((resolve) => {
    const passed = new Set<string>();
    const stop = passSignals(runtime, command, resolve, passed);
    command.status.then((status) => {
      stop();
      if (endedBy(status, passed)) standstill.watch();
    }, stop);
  });
  if (options.stdin === "piped") {
    feedStdin(runtime, command, translation).then((error) => {
      if (error instanceof Error) {
        report.error(`Cannot read stdin: ${error.message}`);
      }
    });
  }
  const { stdout, stderr } = runtime;
  const written = () => standstill.progress();
  // Settled, not all: what had arrived before a loss is still to be written.
  const show = async (
    get: () => ReadableStream<Uint8Array>,
    to: StandardOutput,
  ) => {
    const filter = (await translation)?.output(to);
    await pumpOutput(get(), to, filter, written);
  };
  const finished = Promise.allSettled([
    show(() => command.stdout, stdout),
    options.merge ? null : show(() => command.stderr, stderr),
    command.status,
  ]);
  const first = await Promise.race([finished, givenUp, standstill.reached]);
  if (first === null) {
    report.warn("nobody takes the rest of the output: it is dropped");
    await report.flush(STANDSTILL_MS);
    return statusOf(await command.status);
  }
  if (typeof first === "string") {
    report.warn(
      `not waiting any longer: the server ends the command (${first} again)`,
    );
    // Not for ever: our stderr may well be what nobody reads.
    await report.flush(STANDSTILL_MS);
    return signalStatus(first);
  }
  const [outPump, errPump, status] = first;
  if (status.status === "rejected") {
    if (isUnknown(status.reason.code)) {
      report.error("what became of the command is unknown");
    }
    throw status.reason;
  }
  for (const output of [outPump, errPump]) {
    if (output.status === "fulfilled") continue;
    // Why it was ended says more than what that did to its output.
    if (status.value.reason === null) throw output.reason;
    report.error(output.reason.message);
  }
  const exitStatus = explain(command, status.value, report);
  await report.flush();
  return exitStatus;
}

/** Resolves to what broke our stdin off, if anything did. */
async function feedStdin(
  runtime: CliRuntime,
  command: RemoteCommand,
  translation: Promise<Translation> | null,
): Promise<unknown> {
  try {
    const between = await translation;
    return await feed(
      command,
      between?.input(runtime.stdin) ?? runtime.stdin.open(),
    );
  } catch {
    // There is no session, which the command's status tells.
    return undefined;
  }
}

/** Whether one of these signals is what ended the command. */
function endedBy(status: CommandStatus, signals: Set<string>): boolean {
  const byShell = [...signals].some((name) =>
    status.code === signalStatus(name)
  );
  return byShell || (status.signal !== null && signals.has(status.signal));
}

/** Says on stderr what the exit status alone does not. */
function explain(
  command: RemoteCommand,
  status: CommandStatus,
  report: Reporter,
): number {
  if (status.reason === "timed_out") {
    report.error("the command was ended because its --timeout passed");
  } else if (status.reason !== null) {
    report.error(
      `the command was ended by the server: ${reasonWords(status.reason)}`,
    );
  }
  if (command.heldOpen) {
    report.info(
      "something the command left running still holds its output open",
    );
  }
  return statusOf(status);
}
