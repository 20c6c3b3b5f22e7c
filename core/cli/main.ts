/**
 * The command line's entry: from words to an exit status.
 *
 * @module
 */

import { nearest } from "../nearest.ts";
import { SOFTWARE } from "../session/hello.ts";
import { demoCommand } from "./demo.ts";
import { ownWords } from "./codecs.ts";
import { execCommand } from "./exec.ts";
import { ExitStatus } from "./exit_status.ts";
import { helpText, TOPICS } from "./help.ts";
import { narrowed } from "./help/narrow.ts";
import { labCommand } from "./lab.ts";
import { asksForHelp, outcomeOf } from "./outcome.ts";
import { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { serveCommand } from "./serve.ts";
import { shellCommand } from "./shell.ts";

const COMMANDS: Readonly<
  Record<
    string,
    (runtime: CliRuntime, words: readonly string[]) => Promise<number>
  >
> = {
  serve: serveCommand,
  exec: execCommand,
  shell: shellCommand,
  demo: demoCommand,
  lab: labCommand,
  // Rarely wanted, and not worth the others' starting time.
  config: async (runtime, words) =>
    await (await import("./config.ts")).configCommand(runtime, words),
  token: async (runtime, words) =>
    await (await import("./token.ts")).tokenCommand(runtime, words),
  key: async (runtime, words) =>
    await (await import("./key.ts")).keyCommand(runtime, words),
  ps: async (runtime, words) =>
    await (await import("./ps.ts")).psCommand(runtime, words),
  attach: job("attach"),
  logs: job("logs"),
  wait: job("wait"),
  kill: job("kill"),
  rm: job("rm"),
};

function job(name: "attach" | "logs" | "wait" | "kill" | "rm") {
  return async (runtime: CliRuntime, words: readonly string[]) =>
    await (await import("./jobs.ts")).jobCommand(name, runtime, words);
}

/** Runs the program to its end; `runtime.exit` is called by the adapter. */
export async function main(runtime: CliRuntime): Promise<number> {
  const [name, ...words] = runtime.args;
  const known = name !== undefined && Object.hasOwn(COMMANDS, name);
  return await outcomeOf(
    runtime,
    known ? name : null,
    () => dispatch(runtime, name, words),
  );
}

async function dispatch(
  runtime: CliRuntime,
  name: string | undefined,
  words: readonly string[],
): Promise<number> {
  if (name === undefined) {
    const text = narrowed(helpText(undefined)!, runtime.stderr.columns());
    await print(runtime, text, "stderr");
    return ExitStatus.REFUSED;
  }
  if (name === "--version" || name === "-V" || name === "version") {
    const version = SOFTWARE.replace("/", " ");
    return await print(runtime, `${version} (${runtime.name})\n`);
  }
  if (name === "help" || name === "--help" || name === "-h") {
    return await help(runtime, words[0]);
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    return await unknown(runtime, name, Object.keys(COMMANDS));
  }
  if (asksForHelp(words)) return await help(runtime, name);
  return await COMMANDS[name](runtime, words);
}

async function help(
  runtime: CliRuntime,
  topic: string | undefined,
): Promise<number> {
  const text = helpText(topic);
  if (text !== null) {
    return await print(runtime, narrowed(text, runtime.stdout.columns()));
  }
  return await unknown(runtime, topic!, TOPICS);
}

async function unknown(
  runtime: CliRuntime,
  name: string,
  known: readonly string[],
): Promise<number> {
  const report = new Reporter(runtime, "info");
  const [near] = nearest(name, known);
  const hint = near === undefined ? "" : `. Did you mean ${near}?`;
  report.error(`there is no subcommand "${name}"${hint}`);
  report.error('see "limpet help"');
  await report.flush();
  return ExitStatus.REFUSED;
}

async function print(
  runtime: CliRuntime,
  text: string,
  to: "stdout" | "stderr" = "stdout",
): Promise<number> {
  // `limpet help | head -1` is no failure.
  await runtime[to].write(await ownWords(runtime, text)).catch(() => {});
  return 0;
}
