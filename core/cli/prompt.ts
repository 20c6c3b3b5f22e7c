/**
 * The lesson's prompt: one line, one command.
 *
 * @module
 */

import type { Session } from "../client.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { CommandStatus } from "../exec/exit.ts";
import { decodeLines, keepsAscii, type TextCodec } from "../text/mod.ts";
import { usageError } from "./args.ts";
import type { CommandFlags } from "./connection.ts";
import { MarkerFilter, withMarker } from "./cwd_marker.ts";
import { chain, type Translation, translationFor } from "./encoding.ts";
import { loadCodec } from "./codecs.ts";
import { signalStatus, statusOf, statusOfError } from "./exit_status.ts";
import { pumpOutput } from "./pump.ts";
import { reasonWords } from "./reasons.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime, StandardInput, StandardOutput } from "./runtime.ts";

/** The lesson's prompt. */
export const PROMPT = ">>: ";
const NEWLINE: Uint8Array = Uint8Array.of(0x0a);

/**
 * Reads lines and runs them until the end of input, `exit`, SIGTERM or SIGHUP,
 * and SIGINT if there is no terminal and no command that it would be for.
 * Rejects when the session is over, also while it waits for a line.
 */
export async function runPrompt(
  runtime: CliRuntime,
  session: Session,
  flags: CommandFlags,
  report: Reporter,
): Promise<number> {
  const translation = await translationFor(
    runtime,
    session,
    flags.encoding,
    report,
    true,
  );
  const lines = await linesOf(runtime, translation.ours);
  const told = deferred<number>();
  const busy = { running: false };
  // Never taken back: while the session and a server of ours (demo) are being
  // closed, a second signal must not cut that short and leave processes behind.
  for (const name of ["SIGTERM", "SIGHUP"] as const) {
    runtime.onSignal(name, () => told.resolve(signalStatus(name)));
  }
  runtime.onSignal("SIGINT", () => {
    if (busy.running || runtime.stdin.isTerminal) return;
    told.resolve(signalStatus("SIGINT"));
  });
  const { theirs } = translation;
  // The shell gets its line in what its console speaks, if it cannot be `theirs`.
  const spoken = keepsAscii(theirs)
    ? theirs
    : await loadCodec(session.platform.encoding).catch(() => theirs);
  const place = { runtime, session, translation, spoken };
  const running = runLines(place, flags, report, lines, busy);
  // If we are told to leave first, what it still does is cut off below.
  running.catch(() => {});
  try {
    return await Promise.race([running, told.promise]);
  } finally {
    lines.close();
  }
}

/** Where lines run. */
interface Place {
  readonly runtime: CliRuntime;
  readonly session: Session;
  readonly translation: Translation;
  /** What the shell writes directories in. */
  readonly spoken: TextCodec;
}

/** Where lines come from: null at the end. */
export interface Lines {
  next(): Promise<string | null>;
  close(): void;
}

/** With a prompt and an editor in a terminal, without both otherwise. */
export async function linesOf(
  runtime: CliRuntime,
  ours: TextCodec,
): Promise<Lines> {
  return runtime.stdin.isTerminal
    ? await editedLines(runtime, ours)
    : plainLines(runtime.stdin, ours);
}

/**
 * The status that `exit N` leaves with, or `exit`, which has that of the lines
 * before it; null for any other line.
 */
export function exitOf(line: string, before: number): number | null {
  const match = /^\s*exit(?:\s+(\d+))?\s*$/.exec(line);
  return match === null ? null : Number(match[1] ?? before) & 0xff;
}

async function runLines(
  place: Place,
  flags: CommandFlags,
  report: Reporter,
  lines: Lines,
  busy: { running: boolean },
): Promise<number> {
  const { runtime, session } = place;
  const over = session.closed.then((error) => Promise.reject(asLost(error)));
  over.catch(() => {});
  session.goingAway.then(() => {
    if (!busy.running) return;
    report.warn("the server is going down: this line is the last one");
  });
  let cwd = flags.cwd;
  /** Where a line has run. */
  let known = cwd;
  /** What the latest line came to. */
  let latest = 0;
  for (;;) {
    const line = await Promise.race([lines.next(), over]);
    // A script's status is that of its last line, as in a shell. Somebody at a
    // terminal has seen it, and only leaves.
    const soFar = runtime.stdin.isTerminal ? 0 : latest;
    if (line === null) return soFar;
    if (isNothing(line, session)) continue;
    const leaving = exitOf(line, soFar);
    if (leaving !== null) return leaving;
    const prompted = new PromptedLine(place, { ...flags, cwd });
    busy.running = true;
    try {
      const status = await prompted.run(line);
      latest = statusOf(status);
      describe(status, report);
      known = cwd;
      cwd = prompted.changedTo ?? cwd;
    } catch (thrown) {
      const error = asLimpetError(thrown, "refused", `Running ${line}`);
      await report.flush();
      if (session.over || error.code === "write_failed") throw asLost(error);
      latest = statusOfError(error.code);
      // A name that is no text in its encoding leads nowhere either.
      const isNoText = error.code === "invalid_argument" &&
        cwd !== flags.cwd && cwd?.includes("\ufffd");
      if (error.code === "cwd_not_found" || isNoText) {
        // Its message names the line with what we put around it.
        const missing = `directory ${cwd} does not exist on the server`;
        if (cwd === flags.cwd) throw usageError(`--workdir: ${missing}`);
        cwd = known = flags.cwd;
        report.error(`${missing} any more: ${goingBack(cwd)}`);
      } else {
        report.error(error.message);
        // A policy that lets nobody in there would refuse each line to come. It
        // names its rule; what it refuses by another one is that line alone.
        const isPlace = error.code === "refused" &&
          error.message.includes("(cwd)");
        if (isPlace && cwd !== known) {
          cwd = known;
          report.error(goingBack(cwd));
        }
      }
    }
    busy.running = false;
    await report.flush();
  }
}

/** Empty or a comment, neither of which has a status. */
function isNothing(line: string, { platform }: Session): boolean {
  const [first] = line.trim();
  return first === undefined || (first === "#" && platform.os !== "windows");
}

function goingBack(cwd: string | undefined): string {
  return `going back to ${cwd ?? "where the server started"}`;
}

/** A server that has gone down is no refusal of the line that was not typed. */
function asLost(error: LimpetError): LimpetError {
  const { code, message } = error;
  if (code !== "shutting_down") return error;
  return new LimpetError("connection_lost", message, { cause: error });
}

/** One line: its command, its output, Ctrl-C while it runs. */
class PromptedLine {
  readonly #place: Place;
  readonly #flags: CommandFlags;
  readonly #nonce = crypto.randomUUID().replaceAll("-", "");
  readonly #filter: MarkerFilter;

  constructor(place: Place, flags: CommandFlags) {
    this.#place = place;
    this.#flags = flags;
    this.#filter = new MarkerFilter(this.#nonce, place.spoken);
  }

  /** Where the line has led, if it was to another directory. */
  get changedTo(): string | null {
    return this.#filter.changedTo;
  }

  async run(line: string): Promise<CommandStatus> {
    const { runtime, session, translation } = this.#place;
    const screen = new Screen();
    const stdout = screen.watch(runtime.stdout);
    const stderr = screen.watch(runtime.stderr);
    const posix = session.platform.os !== "windows";
    // On one screen, what came first should stand first; apart, it goes apart.
    const merge = this.#flags.merge || (stdout.isTerminal && stderr.isTerminal);
    const command = session.spawn(
      posix ? withMarker(line, this.#nonce) : line,
      { ...this.#flags, merge, shell: true },
    );
    let interrupts = 0;
    const stopListening = runtime.onSignal("SIGINT", () => {
      // The terminal has echoed ^C; what follows begins on a line of its own.
      if (stderr.isTerminal) stderr.write(NEWLINE).catch(() => {});
      if (++interrupts === 1) command.kill("SIGINT");
      else command.terminate();
    });
    try {
      const [status] = await Promise.all([
        command.status,
        pumpOutput(
          command.stdout,
          stdout,
          merge
            ? chain(this.#filter, translation.output(stdout))
            : translation.output(stdout),
        ),
        merge ? null : pumpOutput(
          command.stderr,
          stderr,
          chain(this.#filter, translation.output(stderr)),
        ),
      ]);
      return status;
    } finally {
      stopListening();
      await screen.endLine();
    }
  }
}

/**
 * Whether the cursor stands at the beginning of a row. A prompt that is drawn
 * where output ended in the middle of one would wipe that row.
 */
export class Screen {
  #terminal: StandardOutput | null = null;
  #lastByte = NEWLINE[0];

  /** The same output, if it is a terminal with an eye on what is written. */
  watch(output: StandardOutput): StandardOutput {
    if (!output.isTerminal) return output;
    this.#terminal = output;
    return {
      isTerminal: true,
      columns: () => output.columns(),
      write: (bytes) => {
        this.#lastByte = bytes.at(-1) ?? this.#lastByte;
        return output.write(bytes);
      },
    };
  }

  async endLine(): Promise<void> {
    if (this.#lastByte === NEWLINE[0]) return;
    await this.#terminal?.write(NEWLINE).catch(() => {});
  }
}

function describe(status: CommandStatus, report: Reporter): void {
  if (status.success) return;
  if (status.reason === "timed_out") {
    report.error("ended because its --timeout passed");
  } else if (status.reason !== null && status.reason !== "cancelled") {
    report.error(`ended by the server: ${reasonWords(status.reason)}`);
  } else if (status.signal !== null) {
    report.error(`ended by ${status.signal}`);
  } else {
    report.error(`exit code ${statusOf(status)}`);
  }
}

async function editedLines(
  runtime: CliRuntime,
  codec: TextCodec,
): Promise<Lines> {
  const editor = await runtime.editLines(codec);
  return {
    next: () => editor.read(PROMPT),
    close: () => editor.close(),
  };
}

function plainLines(stdin: StandardInput, codec: TextCodec): Lines {
  const reader = decodeLines(stdin.open(), codec).getReader();
  return {
    next: async () => {
      try {
        const { done, value } = await reader.read();
        return done ? null : value;
      } catch (cause) {
        throw asLimpetError(
          cause,
          "refused",
          "Cannot read commands from stdin",
        );
      }
    },
    // Not awaited: a pipe that nobody writes to would keep us waiting.
    close: () => {
      reader.cancel().catch(() => {});
    },
  };
}
