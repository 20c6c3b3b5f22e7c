/**
 * What the program says of itself, always on stderr: `limpet: …`.
 *
 * @module
 */

import { counted } from "../counted.ts";
import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";
import { ownWords } from "./codecs.ts";
import type { CliRuntime, StandardOutput } from "./runtime.ts";

/**
 * An error in words: its message, and what to do about it where that stands by
 * itself, because the message goes to the peer too.
 */
export function wordsOf({ message, cause }: LimpetError): string {
  return typeof cause === "string" ? `${message}. ${cause}` : message;
}

/** How much is said: errors only, what matters, everything. */
export type Loudness = "quiet" | "info" | "debug";

/**
 * What waits while stderr takes nothing (a terminal stopped with Ctrl-S, a pipe
 * that nobody reads), in characters; what is more is dropped and counted.
 */
const MAX_WAITING = 262_144;

/** How long our own stderr may hold up the end of a server or session, in ms. */
export const LAST_WORDS_MS = 2_000;

/** See the module's description. */
export class Reporter {
  readonly loudness: Loudness;
  readonly #runtime: CliRuntime;
  readonly #color: boolean;
  /** Written one after another, so that lines come whole and in order. */
  readonly #waiting: string[] = [];
  #characters = 0;
  #dropped = 0;
  #writing: Promise<void> | null = null;

  constructor(runtime: CliRuntime, loudness: Loudness) {
    this.#runtime = runtime;
    this.loudness = loudness;
    this.#color = useColor(runtime, runtime.stderr);
  }

  /** What went wrong. Said even with `-q`. */
  error(message: string): void {
    this.#say("31", message);
  }

  warn(message: string): void {
    if (this.loudness !== "quiet") this.#say("33", message);
  }

  info(message: string): void {
    if (this.loudness !== "quiet") this.#say("2", message);
  }

  debug(message: string): void {
    if (this.loudness === "debug") this.#say("2", message);
  }

  /**
   * Settles when everything said so far is out, or when that has taken `ms`, by
   * default however long it takes.
   */
  async flush(ms: number = Infinity): Promise<void> {
    if (ms === Infinity) return void await this.#writing;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([this.#writing, patience]);
    clearTimeout(timer);
  }

  #say(color: string, message: string): void {
    const line = this.#line(color, message);
    const full = this.#characters + line.length > MAX_WAITING;
    if (full && this.#waiting.length > 0) {
      this.#dropped++;
      return;
    }
    this.#tellDropped();
    this.#push(line);
    this.#writing ??= this.#write();
  }

  #line(color: string, message: string): string {
    const text = `limpet: ${printable(message)}`;
    return this.#color ? `\x1b[${color}m${text}\x1b[0m\n` : `${text}\n`;
  }

  #push(line: string): void {
    this.#waiting.push(line);
    this.#characters += line.length;
  }

  /** Where they would be. */
  #tellDropped(): void {
    if (this.#dropped === 0) return;
    const lines = counted(this.#dropped, "line is", "lines are");
    this.#dropped = 0;
    this.#push(this.#line("33", `${lines} missing here: stderr took nothing`));
  }

  async #write(): Promise<void> {
    for (;;) {
      const line = this.#waiting[0];
      if (line === undefined) break;
      try {
        const bytes = await ownWords(this.#runtime, line);
        await this.#runtime.stderr.write(bytes);
      } catch {
        // There is nowhere to say so.
      }
      this.#waiting.shift();
      this.#characters -= line.length;
      if (this.#waiting.length === 0) this.#tellDropped();
    }
    this.#writing = null;
  }
}

/**
 * Whether `to` gets colours. https://no-color.org and https://force-color.org:
 * set and not empty. A dumb
 * terminal takes no escape sequences.
 */
export function useColor(runtime: CliRuntime, to: StandardOutput): boolean {
  if (runtime.env("NO_COLOR")) return false;
  if (runtime.env("FORCE_COLOR")) return true;
  return to.isTerminal && runtime.env("TERM") !== "dumb";
}

/** `-q` and `-v` before `LIMPET_LOG` (`quiet`, `info` or `debug`). */
export function loudnessOf(
  runtime: CliRuntime,
  flags: { has(name: string): boolean },
): Loudness {
  if (flags.has("quiet")) return "quiet";
  if (flags.has("verbose")) return "debug";
  const wanted = runtime.env("LIMPET_LOG") ?? "info";
  if (wanted === "quiet" || wanted === "info" || wanted === "debug") {
    return wanted;
  }
  throw new LimpetError(
    "invalid_argument",
    `LIMPET_LOG=${wanted} is none of quiet, info and debug`,
  );
}
