/**
 * `limpet shell raw://…`: the lesson's client.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import { asLimpetError } from "../errors.ts";
import type { RawClient } from "../raw/client.ts";
import { formatTarget, type RawTarget } from "../target.ts";
import { encodeText } from "../text/mod.ts";
import type { Arguments } from "./args.ts";
import type { Translation } from "./encoding.ts";
import { signalStatus } from "./exit_status.ts";
import { SHELL_FLAGS } from "./flags.ts";
import { exitOf, type Lines, linesOf, Screen } from "./prompt.ts";
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

/** Runs the prompt; resolves to the program's exit status. */
export async function shellRaw(
  runtime: CliRuntime,
  target: RawTarget,
  args: Arguments,
  report: Reporter,
): Promise<number> {
  refuseFlags(args, SHELL_FLAGS, RAW_CLIENT_FLAGS);
  checkRawAddress(
    formatTarget(target),
    target.hostname,
    args.has("insecure"),
  );
  const ms = answerTimeout(args);
  const translation = await rawTranslation(runtime, args);
  const client = await openRaw(runtime, target, args, report);
  const lines = await linesOf(runtime, translation.ours);
  const told = deferred<number>();
  for (const name of ["SIGTERM", "SIGHUP"] as const) {
    runtime.onSignal(name, () => told.resolve(signalStatus(name)));
  }
  const prompt = new RawPrompt(runtime, client, report, translation, ms);
  runtime.onSignal("SIGINT", () => {
    if (prompt.interrupt() || runtime.stdin.isTerminal) return;
    told.resolve(signalStatus("SIGINT"));
  });
  const running = prompt.run(lines);
  // If we are told to leave first, what it still does is cut off below.
  running.catch(() => {});
  try {
    return await Promise.race([running, told.promise]);
  } finally {
    lines.close();
    client.close();
    await report.flush();
  }
}

/** One line out, one `recv` in. */
class RawPrompt {
  readonly #runtime: CliRuntime;
  readonly #client: RawClient;
  readonly #report: Reporter;
  readonly #translation: Translation;
  readonly #ms: number;
  readonly #screen = new Screen();
  #waiting: AbortController | null = null;
  #toldOfEmpty = false;

  constructor(
    runtime: CliRuntime,
    client: RawClient,
    report: Reporter,
    translation: Translation,
    ms: number,
  ) {
    this.#runtime = runtime;
    this.#client = client;
    this.#report = report;
    this.#translation = translation;
    this.#ms = ms;
  }

  /** Ctrl-C. False if no answer is being waited for. */
  interrupt(): boolean {
    if (this.#waiting === null) return false;
    this.#waiting.abort();
    // The terminal has echoed ^C; what follows begins on a line of its own.
    const { stderr } = this.#runtime;
    if (stderr.isTerminal) stderr.write(Uint8Array.of(0x0a)).catch(() => {});
    return true;
  }

  /** Until the end of input, or `exit`. Rejects when the server has gone. */
  async run(lines: Lines): Promise<number> {
    const over = this.#client.ended.then((error) =>
      Promise.reject(this.#client.gone(error))
    );
    over.catch(() => {});
    for (;;) {
      const line = await Promise.race([lines.next(), over]);
      if (line === null) return 0;
      const leaving = exitOf(line, 0);
      if (leaving !== null) return leaving;
      if (line === "") this.#tellOfEmpty();
      else await this.#exchange(line);
      await this.#report.flush();
    }
  }

  async #exchange(line: string): Promise<void> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    const stdout = this.#screen.watch(this.#runtime.stdout);
    try {
      const message = encodeText(line, this.#translation.theirs);
      const patience = { ms: this.#ms, signal: waiting.signal };
      const answer = await this.#client.ask(message, patience);
      await writeAnswer(stdout, answer, this.#translation);
      await this.#screen.endLine();
    } catch (thrown) {
      const error = asLimpetError(thrown, "refused", `Sending ${line}`);
      switch (error.code) {
        // A line that cannot be written in that encoding.
        case "invalid_argument":
          return this.#report.error(error.message);
        case "timed_out":
          return this.#report.warn(error.message);
        case "cancelled":
          return this.#report.info(
            "not waiting any longer: its answer will be taken for that to a " +
              "later line",
          );
        default:
          throw error;
      }
    } finally {
      this.#waiting = null;
    }
  }

  #tellOfEmpty(): void {
    if (this.#toldOfEmpty) return;
    this.#toldOfEmpty = true;
    this.#report.info(
      "an empty line is not sent: without bytes there is no message, and " +
        "waiting for its answer would have no end",
    );
  }
}
