/**
 * `limpet lab`: the lesson's experiments, live.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import { LimpetError } from "../errors.ts";
import type { LabName, LabResult } from "../lab/run.ts";
import type { Story, Values } from "../lab/story.ts";
import { nearest } from "../nearest.ts";
import { printableJson } from "../printable.ts";
import {
  type Arguments,
  parseArguments,
  parseCount,
  usageError,
} from "./args.ts";
import { ownWords } from "./codecs.ts";
import { ExitStatus, signalStatus } from "./exit_status.ts";
import { LAB_FLAGS } from "./flags.ts";
import { Reporter, useColor } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Bytes of the datagram that is received with a smaller buffer. */
const DATAGRAM_BYTES = 3_000;

/** Runs the subcommand; resolves to the program's exit status. */
export async function labCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, LAB_FLAGS);
  // Not before it is wanted: nothing else of the program needs it.
  const [{ LAB_NAMES, runLab }, { Story }, { LANGUAGES }, { CUT_BYTES }] =
    await Promise.all([
      import("../lab/run.ts"),
      import("../lab/story.ts"),
      import("../lab/texts/mod.ts"),
      import("../lab/datagram.ts"),
    ]);
  const chosen = readNames(args, LAB_NAMES);
  const texts = LANGUAGES[readLanguage(args, Object.keys(LANGUAGES))];
  const port = readPort(args, chosen);
  const datagramBytes = readSize(args, chosen, CUT_BYTES);
  const json = args.has("json");
  if (json && chosen === null) {
    throw usageError("--json needs an experiment, or all");
  }
  const output = new Output(runtime);
  const report = new Reporter(runtime, "info");
  const story = new Story({
    texts,
    write: (text) => json || output.write(text),
    columns: runtime.stdout.columns() ?? 80,
    color: useColor(runtime, runtime.stdout),
  });
  if (chosen === null) {
    list(story, LAB_NAMES);
    return await output.flush(0);
  }

  const { signal, told, stop } = untilSignal(runtime);
  const results: LabResult[] = [];
  try {
    const sockets = await runtime.labSockets();
    const options = { sockets, machine: runtime, story, port, datagramBytes };
    // A port that is taken should be told before any of the story.
    if (port !== 0) (await sockets.listen(port)).close();
    for (const name of chosen.names) {
      if (results.length > 0) story.gap();
      // Otherwise the experiment tells by itself.
      if (json && runtime.stderr.isTerminal) report.info(`running ${name}`);
      results.push(await runLab(name, runtime.name, options, signal));
      await output.flush(0);
    }
  } catch (error) {
    // What it saw until then should stand before what went wrong.
    await output.flush(0);
    if (signal.aborted) return signalStatus(await told);
    throw error;
  } finally {
    stop();
  }
  const failed = results.filter((each) => !each.observed || !each.cured).length;
  if (chosen.all) summarize(story, results);
  if (json) {
    const whole = chosen.all
      ? { labs: results, passed: results.length - failed, failed }
      : results[0];
    output.write(`${printableJson(whole)}\n`);
  }
  return await output.flush(failed === 0 ? 0 : ExitStatus.NOT_OBSERVED);
}

interface Chosen {
  readonly all: boolean;
  readonly names: readonly LabName[];
}

/** Null where none was named: then they are listed. */
function readNames(
  args: Arguments,
  known: readonly LabName[],
): Chosen | null {
  const [name, extra] = args.positionals;
  if (extra !== undefined || args.rest !== null) {
    throw usageError("lab takes one experiment, or all");
  }
  if (name === undefined) return null;
  if (name === "all") return { all: true, names: known };
  const found = known.find((each) => each === name);
  if (found !== undefined) return { all: false, names: [found] };
  const [near] = nearest(name, [...known, "all"]);
  const hint = near === undefined
    ? `: there are ${known.join(", ")}, and all`
    : `. Did you mean ${near}?`;
  throw usageError(`There is no experiment "${name}"${hint}`);
}

function readLanguage(args: Arguments, known: readonly string[]): string {
  const given = args.value("lang") ?? "en";
  // `zh-CN` and `zh_CN.UTF-8` are Chinese too.
  const language = given.split(/[-_.]/)[0].toLowerCase();
  if (known.includes(language)) return language;
  throw usageError(`--lang ${given} is none of ${known.join(" and ")}`);
}

function readPort(args: Arguments, chosen: Chosen | null): number {
  const text = args.value("port") ?? "0";
  const hasServer = chosen?.names.some((name) => name !== "datagram") ?? true;
  if (args.has("port") && !hasServer) {
    throw usageError(
      "--port is not for the experiment datagram, which has no naive TCP server",
    );
  }
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (port <= 65_535) return port;
  throw usageError(`--port ${text} is no port from 0 to 65535`);
}

function readSize(
  args: Arguments,
  chosen: Chosen | null,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  const text = args.value("size");
  if (text === undefined) return DATAGRAM_BYTES;
  if (!chosen?.names.includes("datagram")) {
    throw usageError("--size is for the experiment datagram alone");
  }
  const size = parseCount(text, "--size");
  if (size >= least && size <= most) return size;
  throw usageError(
    `--size ${size} is not from ${least} to ${most} bytes: a smaller datagram ` +
      "is not cut, and a larger one cannot be sent",
  );
}

function list(story: Story, names: readonly LabName[]): void {
  story.title("list.title");
  story.table(names.map((name) => [name, story.text(`${name}.about`)]), true);
  story.say("list.how");
}

function summarize(story: Story, results: readonly LabResult[]): void {
  const mark = (good: boolean) =>
    story.text(good ? "summary.yes" : "summary.no");
  story.gap();
  story.title("summary.title");
  story.table([
    [
      story.text("summary.lab"),
      story.text("summary.observed"),
      story.text("summary.cured"),
      story.text("summary.number"),
    ],
    ...results.map(({ lab, observed, cured, measured }) => [
      lab,
      mark(observed),
      mark(cured),
      story.text(`${lab}.number`, measured as Values),
    ]),
  ]);
}

/** The first signal ends the experiment, which gives back all that it used. */
function untilSignal(runtime: CliRuntime) {
  const stopping = new AbortController();
  const told = deferred<string>();
  const stops = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((name) =>
    runtime.onSignal(name, () => {
      told.resolve(name);
      stopping.abort();
    })
  );
  const stop = () => stops.forEach((each) => each());
  return { signal: stopping.signal, told: told.promise, stop };
}

/** Our stdout, one write after another. */
class Output {
  readonly #runtime: CliRuntime;
  #last: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  constructor(runtime: CliRuntime) {
    this.#runtime = runtime;
  }

  write(text: string): void {
    this.#last = this.#last.then(async () => {
      const bytes = await ownWords(this.#runtime, text);
      if (this.#failure === null) await this.#runtime.stdout.write(bytes);
    }).catch((error) => this.#failure = error);
  }

  /** Settles when all is out. `limpet lab all | head -1` is no failure. */
  async flush(status: number): Promise<number> {
    await this.#last;
    const gone = this.#failure instanceof LimpetError &&
      this.#failure.code === "broken_pipe";
    if (this.#failure !== null && !gone) throw this.#failure;
    return status;
  }
}
