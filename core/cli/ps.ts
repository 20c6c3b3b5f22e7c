/**
 * `limpet ps`: the jobs of a server.
 *
 * @module
 */

import { counted } from "../counted.ts";
import type { JobInfo } from "../jobs/client.ts";
import { printable, printableJson } from "../printable.ts";
import { parseArguments, usageError } from "./args.ts";
import { ownWords } from "./codecs.ts";
import { withSession } from "./connection.ts";
import { withoutMarker } from "./cwd_marker.ts";
import { PS_FLAGS } from "./flags.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { tableText } from "./table.ts";

/** Runs the subcommand; resolves to the program's exit status. */
export async function psCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, PS_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  if (args.positionals.length !== 1 || args.rest !== null) {
    throw usageError("ps needs one TARGET");
  }
  const format = args.value("output") ?? "text";
  if (format !== "text" && format !== "json") {
    throw usageError(`--output ${format} is none of text and json`);
  }
  const all = await withSession(
    runtime,
    args,
    report,
    (session) => session.jobs().list(),
  );
  const shown = all.filter(({ endedAt }) =>
    args.has("all") || endedAt === null
  );
  const text = format === "json"
    ? `${printableJson(shown)}\n`
    : tableOf(shown, Date.now(), runtime.stdout.columns());
  await runtime.stdout.write(await ownWords(runtime, text));
  return 0;
}

/** One line a job, and one of headings; `columns` as for `tableText`. */
export function tableOf(
  jobs: readonly JobInfo[],
  now: number,
  columns: number | null = null,
): string {
  const rows = [
    ["JOB", "COMMAND", "STARTED", "STATUS", "OUTPUT"],
    ...jobs.map((job) => [
      job.id,
      commandOf(job),
      ago(now - job.startedAt),
      statusWords(job, now),
      outputOf(job),
    ]),
  ];
  return tableText(rows, columns, [1, 3]);
}

function commandOf({ argv, shell }: JobInfo): string {
  const words = shell
    ? argv.map(withoutMarker)
    : argv.map((word) =>
      /^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word)
    );
  return printable(words.join(" ")).replaceAll("\n", " ");
}

function statusWords(job: JobInfo, now: number): string {
  const { state, status, endedAt, problem } = job;
  const troubled = problem === null ? "" : " (disk)";
  if (state === "unknown") return "Unknown: lost by its server";
  if (status === null || endedAt === null) {
    return `${state === "starting" ? "Starting" : "Running"}${troubled}`;
  }
  const how = status.signal === null
    ? `Exited (${status.code})`
    : `Killed (${status.signal})`;
  const why = status.reason === null ? "" : `, ${status.reason}`;
  return `${how} ${ago(now - endedAt)}${why}${troubled}`;
}

function outputOf({ stdout, stderr }: JobInfo): string {
  if (stdout === null && stderr === null) return "-";
  return size((stdout?.bytes ?? 0) + (stderr?.bytes ?? 0));
}

function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes / 1_024;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

const UNITS: readonly (readonly [string, number])[] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
];

/** `5 minutes ago`; clocks may differ, and nothing was in the future. */
function ago(ms: number): string {
  const [name, unit] = UNITS.find(([, unit]) => ms >= unit) ?? UNITS[3];
  const count = Math.max(0, Math.floor(ms / unit));
  return `${counted(count, name)} ago`;
}
