/**
 * What the program says of itself, always on stderr: `limpet: …`.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";
import { ownWords } from "./codecs.ts";
import type { CliRuntime, StandardOutput } from "./runtime.ts";

/** How much is said: errors only, what matters, everything. */
export type Loudness = "quiet" | "info" | "debug";

/** See the module's description. */
export class Reporter {
  readonly loudness: Loudness;
  readonly #runtime: CliRuntime;
  readonly #color: boolean;
  /** One after another, so that lines come whole and in order. */
  #last: Promise<void> = Promise.resolve();

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

  /** Settles when everything said so far is out. */
  flush(): Promise<void> {
    return this.#last;
  }

  #say(color: string, message: string): void {
    const text = `limpet: ${printable(message)}`;
    const line = this.#color ? `\x1b[${color}m${text}\x1b[0m\n` : `${text}\n`;
    this.#last = this.#last
      .then(async () => {
        const bytes = await ownWords(this.#runtime, line);
        await this.#runtime.stderr.write(bytes);
      })
      .catch(() => {});
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
