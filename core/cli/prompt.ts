/**
 * The lesson's prompt: one line, one command.
 *
 * @module
 */

import type { Session } from "../client.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { CommandStatus } from "../exec/exit.ts";
import { decodeLines } from "../text/mod.ts";
import type { CommandFlags } from "./connection.ts";
import { MarkerFilter, withMarker } from "./cwd_marker.ts";
import { statusOf } from "./exit_status.ts";
import { pumpOutput } from "./pump.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime, StandardInput } from "./runtime.ts";

const PROMPT = ">>: ";
const NEWLINE: Uint8Array = Uint8Array.of(0x0a);

/** Reads lines and runs them until the end of input or `exit`. */
export async function runPrompt(
  runtime: CliRuntime,
  session: Session,
  flags: CommandFlags,
  report: Reporter,
): Promise<number> {
  const { os } = await session.ready;
  const lines = runtime.stdin.isTerminal
    ? editedLines(runtime)
    : plainLines(runtime.stdin);
  let cwd = flags.cwd;
  for await (const line of lines) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "") continue;
    if (words[0] === "exit" && words.length === 1) return 0;
    if (words[0] === "exit" && words.length === 2 && /^\d+$/.test(words[1])) {
      return Number(words[1]) & 0xff;
    }
    const prompted = new PromptedLine(runtime, session, { ...flags, cwd });
    try {
      const status = await prompted.run(line, os !== "windows");
      describe(status, report);
      cwd = prompted.directory ?? cwd;
    } catch (thrown) {
      const error = asLimpetError(thrown, "refused", `Running ${line}`);
      await report.flush();
      if (session.over || error.code === "write_failed") throw error;
      report.error(error.message);
      if (error.code === "cwd_not_found") {
        cwd = flags.cwd;
        report.error(`going back to ${cwd ?? "where the server started"}`);
      }
    }
    await report.flush();
  }
  return 0;
}

/** One line: its command, its output, Ctrl-C while it runs. */
class PromptedLine {
  readonly #runtime: CliRuntime;
  readonly #session: Session;
  readonly #flags: CommandFlags;
  readonly #nonce = crypto.randomUUID().replaceAll("-", "");
  readonly #filter = new MarkerFilter(this.#nonce);

  constructor(runtime: CliRuntime, session: Session, flags: CommandFlags) {
    this.#runtime = runtime;
    this.#session = session;
    this.#flags = flags;
  }

  /** Where the shell ended up, if it said so. */
  get directory(): string | null {
    return this.#filter.directory;
  }

  async run(line: string, posix: boolean): Promise<CommandStatus> {
    const { stdout, stderr } = this.#runtime;
    // On one screen, what came first should stand first; apart, it goes apart.
    const merge = this.#flags.merge || (stdout.isTerminal && stderr.isTerminal);
    const command = this.#session.spawn(
      posix ? withMarker(line, this.#nonce) : line,
      { ...this.#flags, merge, shell: true },
    );
    let interrupts = 0;
    const stopListening = this.#runtime.onSignal("SIGINT", () => {
      // The terminal has echoed ^C; what follows begins on a line of its own.
      if (stderr.isTerminal) stderr.write(NEWLINE).catch(() => {});
      if (++interrupts === 1) command.kill("SIGINT");
      else command.terminate();
    });
    try {
      const [status] = await Promise.all([
        command.status,
        pumpOutput(command.stdout, stdout, merge ? this.#filter : undefined),
        merge ? null : pumpOutput(command.stderr, stderr, this.#filter),
      ]);
      return status;
    } finally {
      stopListening();
    }
  }
}

function describe(status: CommandStatus, report: Reporter): void {
  if (status.success) return;
  if (status.reason === "timed_out") {
    report.error("ended because its --timeout passed");
  } else if (status.signal !== null) {
    report.error(`ended by ${status.signal}`);
  } else {
    report.error(`exit code ${statusOf(status)}`);
  }
}

async function* editedLines(
  runtime: CliRuntime,
): AsyncGenerator<string, void, void> {
  const editor = runtime.editLines();
  try {
    for (;;) {
      const line = await editor.read(PROMPT);
      if (line === null) return;
      yield line;
    }
  } finally {
    editor.close();
  }
}

async function* plainLines(
  stdin: StandardInput,
): AsyncGenerator<string, void, void> {
  const reader = decodeLines(stdin.open()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw new LimpetError("cancelled", "Reading commands from stdin failed", {
      cause: error,
    });
  } finally {
    // Not awaited: a pipe that nobody writes to would keep us waiting.
    reader.cancel().catch(() => {});
  }
}
