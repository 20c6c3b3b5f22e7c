/**
 * `limpet attach`, `logs`, `wait`, `kill` and `rm`: jobs on a server.
 *
 * @module
 */

import type { Session } from "../client.ts";
import { checkJobId } from "../exec/job_id.ts";
import { checkSignal, type Signal } from "../exec/signals.ts";
import { serverRestarted } from "../jobs/record.ts";
import {
  type Arguments,
  parseArguments,
  parseDuration,
  usageError,
} from "./args.ts";
import { withSession } from "./connection.ts";
import { translationFor } from "./encoding.ts";
import { statusOf } from "./exit_status.ts";
import { JOB_FLAGS } from "./flags.ts";
import { follow, sayWhatIsMissing } from "./follow.ts";
import { pumpOutput, whenUnread } from "./pump.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** What of the command line all of them have. */
interface Asked {
  readonly runtime: CliRuntime;
  readonly args: Arguments;
  readonly report: Reporter;
  readonly session: Session;
  readonly ids: readonly string[];
}

type Action = (asked: Asked) => Promise<number>;

const ACTIONS: Readonly<Record<string, Action>> = {
  attach,
  logs,
  wait: async ({ session, ids: [id] }) => {
    const { status } = await session.jobs().job(id).wait();
    if (status === null) throw serverRestarted();
    return statusOf(status);
  },
  kill,
  rm: remove,
};

/** Runs one of the subcommands; resolves to the program's exit status. */
export async function jobCommand(
  name: keyof typeof JOB_FLAGS,
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, JOB_FLAGS[name]);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  const [target, ...ids] = args.positionals;
  if (target === undefined || ids.length === 0) {
    throw usageError(`${name} needs a TARGET and a JOB`);
  }
  if (args.rest !== null || (ids.length > 1 && name !== "rm")) {
    throw usageError(`${name} takes one TARGET and one JOB`);
  }
  ids.forEach(checkJobId);
  checkFlags(args);
  return await withSession(
    runtime,
    args,
    report,
    (session) => ACTIONS[name]({ runtime, args, report, session, ids }),
  );
}

/** What is wrong is said before anything is connected to. */
function checkFlags(args: Arguments): void {
  offsetsOf(args);
  const signal = args.value("signal");
  if (signal !== undefined) signalOf(signal);
  killAfterOf(args);
}

async function attach(
  { runtime, args, report, session, ids: [id] }: Asked,
): Promise<number> {
  const stdin = args.has("stdin") ? "piped" as const : "null" as const;
  const command = session.attach(id, { ...offsetsOf(args), stdin });
  const isText = runtime.stdout.isTerminal || runtime.stderr.isTerminal;
  const translation = isText
    ? translationFor(runtime, session, undefined, report)
    : null;
  const following = { stdin, stderr: true };
  return await follow(
    runtime,
    session,
    command,
    following,
    translation,
    report,
  );
}

async function logs(
  { runtime, args, report, session, ids: [id] }: Asked,
): Promise<number> {
  const follows = args.has("follow");
  const command = session.attach(id, { ...offsetsOf(args), follow: follows });
  sayWhatIsMissing(command, report);
  await command.pid;
  const { stdout, stderr } = runtime;
  const pumps = [
    pumpOutput(command.stdout, stdout),
    pumpOutput(command.stderr, stderr),
  ];
  const shown = await Promise.race([
    whenUnread(pumps),
    Promise.allSettled(pumps),
  ]);
  if (typeof shown === "number") return shown;
  for (const each of shown) if (each.status === "rejected") throw each.reason;
  return 0;
}

async function kill({ args, session, ids: [id] }: Asked): Promise<number> {
  const job = session.jobs().job(id);
  const signal = args.value("signal");
  if (signal === undefined) await job.terminate(killAfterOf(args));
  else await job.kill(signalOf(signal));
  return 0;
}

async function remove({ args, session, ids }: Asked): Promise<number> {
  for (const id of ids) {
    const job = session.jobs().job(id);
    if (args.has("force") && (await job.info()).endedAt === null) {
      await job.terminate();
      await job.wait();
    }
    await job.remove();
  }
  return 0;
}

function offsetsOf(
  args: Arguments,
): { stdoutOffset: number; stderrOffset: number } {
  const offset = (name: string) => {
    const text = args.value(name) ?? "0";
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw usageError(`--${name} ${text} is no number of bytes`);
  };
  return {
    stdoutOffset: offset("stdout-offset"),
    stderrOffset: offset("stderr-offset"),
  };
}

/** `TERM`, `SIGTERM` and `sigterm` are the same. */
function signalOf(text: string): Signal {
  const upper = text.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  checkSignal(name);
  return name;
}

function killAfterOf(args: Arguments): number | undefined {
  const text = args.value("kill-after");
  return text === undefined ? undefined : parseDuration(text, "--kill-after");
}
