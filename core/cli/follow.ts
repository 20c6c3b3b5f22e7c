/**
 * A command that runs elsewhere, on our own streams: to its end, and to our exit
 * status.
 *
 * @module
 */

import type { Session } from "../client.ts";
import { counted } from "../counted.ts";
import type { RemoteCommand } from "../exec/client.ts";
import type { CommandStatus } from "../exec/exit.ts";
import { feed } from "../exec/output.ts";
import { JobCommand } from "../jobs/client.ts";
import type { Translation } from "./encoding.ts";
import { isUnknown, signalStatus, statusOf } from "./exit_status.ts";
import { inWords } from "./go_down.ts";
import { pumpOutput, whenUnread } from "./pump.ts";
import { reasonWords } from "./reasons.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime, StandardOutput } from "./runtime.ts";
import { passSignals } from "./signals.ts";
import { Standstill, STANDSTILL_MS } from "./standstill.ts";

/** The command goes on; but whoever counts on the server should know. */
export function sayIfGoingDown(
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

/** Which of our streams it has, besides stdout. */
export interface Following {
  readonly stdin: "piped" | "null";
  readonly stderr: boolean;
}

/**
 * Feeds it, shows what it writes, passes our signals on to it, and explains its
 * end; resolves to our exit status.
 */
export async function follow(
  runtime: CliRuntime,
  session: Session,
  command: RemoteCommand,
  options: Following,
  translation: Promise<Translation> | null,
  report: Reporter,
): Promise<number> {
  sayWhatIsMissing(command, report);
  const standstill = new Standstill();
  let hasEnded = false;
  command.status.then(() => hasEnded = true, () => hasEnded = true);
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
    return await pumpOutput(get(), to, filter, written);
  };
  const pumps = [show(() => command.stdout, stdout)];
  if (options.stderr) pumps.push(show(() => command.stderr, stderr));
  const finished = Promise.allSettled([command.status, ...pumps]);
  const unread = command instanceof JobCommand ? [whenUnread(pumps)] : [];
  const first = await Promise.race([
    ...unread,
    finished,
    givenUp,
    standstill.reached,
  ]);
  // Our side alone ends. Who let the server name the job knows that from here.
  if (typeof first === "number") {
    if (!hasEnded) {
      report.warn(
        `nobody takes the rest of the output: job ${command.jobId} goes on`,
      );
      await report.flush(STANDSTILL_MS);
    }
    return first;
  }
  if (first === null) {
    report.warn("nobody takes the rest of the output: it is dropped");
    await report.flush(STANDSTILL_MS);
    return statusOf(await command.status);
  }
  if (typeof first === "string") {
    const goesOn = command instanceof JobCommand
      ? `job ${command.jobId} goes on`
      : "the server ends the command";
    report.warn(`not waiting any longer: ${goesOn} (${first} again)`);
    // Not for ever: our stderr may well be what nobody reads.
    await report.flush(STANDSTILL_MS);
    return signalStatus(first);
  }
  const [status, ...shown] = first;
  if (status.status === "rejected") {
    if (isUnknown(status.reason.code)) {
      report.error(
        session.over && command instanceof JobCommand
          ? `what became of job ${command.jobId} is not known here: limpet wait ` +
            "asks, limpet attach goes on"
          : "what became of the command is unknown",
      );
    }
    throw status.reason;
  }
  const { reason } = status.value;
  const broken = new Set<string>();
  for (const output of shown) {
    if (output.status === "fulfilled") continue;
    // Why it was ended says more than what that did to its output.
    if (reason === null) throw output.reason;
    broken.add(output.reason.message);
  }
  for (const message of broken) report.error(message);
  // Then that was why.
  const isTold = reason === "output_limit" && broken.size > 0;
  const exitStatus = explain(command, status.value, isTold, report);
  await report.flush();
  return exitStatus;
}

/** Where bytes are missing of a job, which its server could not keep. */
export function sayWhatIsMissing(
  command: RemoteCommand,
  report: Reporter,
): void {
  if (!(command instanceof JobCommand)) return;
  command.onDropped = ({ stream, from, to }) => {
    report.warn(
      `${
        counted(to - from, "byte")
      } of ${stream} missing here, from offset ${from} to ` +
        `${to}: the server has them no more`,
    );
  };
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
  isTold: boolean,
  report: Reporter,
): number {
  if (status.reason === "timed_out") {
    report.error("the command was ended because its --timeout passed");
  } else if (status.reason !== null && !isTold) {
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
