/**
 * Lines for the server's shell, written as template literals.
 *
 * @module
 */

import { LimpetError } from "./errors.ts";
import type { RemoteCommand } from "./exec/client.ts";
import {
  commandName,
  endedByUs,
  feed,
  type Input,
  type Output,
  rawInput,
  statusFacts,
} from "./exec/output.ts";
import type { OutputOptions, SpawnOptions } from "./options.ts";
import type { Platform } from "./ports.ts";
import { decodeLines, decodeText, type TextCodec } from "./text/mod.ts";

/**
 * One word for a POSIX shell, whatever it contains. Source: POSIX.1-2024, Shell
 * Command Language, 2.2.2 Single-Quotes.
 */
export function quote(value: string): string {
  if (/^[A-Za-z0-9_@%+:,./-]+$/.test(value)) return value;
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** The line of a template: its text as it stands, its values quoted. */
export function quoteTemplate(
  strings: readonly string[],
  values: readonly unknown[],
): string {
  // What `\\202` in a template comes to: an escape that JavaScript has not.
  if ((strings as readonly unknown[]).includes(undefined)) {
    throw new LimpetError(
      "invalid_argument",
      "The template has an escape that JavaScript does not know: write two " +
        "backslashes for one",
    );
  }
  let line = strings[0];
  values.forEach((value, i) => {
    const words = Array.isArray(value) ? value : [value];
    line += words.map(word).join(" ") + strings[i + 1];
  });
  return line;
}

function word(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "bigint") {
    return quote(String(value));
  }
  throw new LimpetError(
    "invalid_argument",
    `A ${value === null ? "null" : typeof value} cannot be a word of a shell ` +
      "line: use a string, a number or a list of them",
  );
}

/** What a shell command needs of its session. */
export interface CommandRunner {
  readonly platform: Platform;
  codec(encoding?: string): TextCodec;
  spawn(command: string, options: SpawnOptions): RemoteCommand;
  output(command: string, options: OutputOptions): Promise<Output>;
}

/** Makes a {@linkcode ShellCommand}; `Session.$` calls it. */
export function shellTag(
  session: CommandRunner,
  strings: TemplateStringsArray,
  values: readonly unknown[],
): ShellCommand {
  return new ShellCommand(session, quoteTemplate(strings, values), {});
}

/** What can be set on a shell command before it runs. */
interface ShellOptions extends Omit<SpawnOptions, "args" | "shell" | "stdin"> {
  readonly input?: Input;
  readonly allowFailure?: boolean;
  readonly maxBytes?: number;
}

/**
 * A line for the server's shell. It starts when it is awaited, or when one of
 * `text`, `lines`, `bytes` or `json` is called; each of those runs it anew.
 */
export class ShellCommand implements PromiseLike<Output> {
  readonly #session: CommandRunner;
  readonly #line: string;
  readonly #options: ShellOptions;

  /** Use `session.$`. */
  constructor(session: CommandRunner, line: string, options: ShellOptions) {
    this.#session = session;
    this.#line = line;
    this.#options = options;
  }

  /** The line as the shell will read it. */
  get line(): string {
    return this.#line;
  }

  /** Runs in this directory. */
  cwd(cwd: string): ShellCommand {
    return this.#with({ cwd });
  }

  /** Adds variables. */
  env(env: Readonly<Record<string, string>>): ShellCommand {
    return this.#with({ env: { ...this.#options.env, ...env } });
  }

  /** What the command reads. */
  stdin(input: Input): ShellCommand {
    return this.#with({ input });
  }

  /** Reads and writes text in this encoding. Default: the server's console. */
  encoding(encoding: string): ShellCommand {
    return this.#with({ encoding });
  }

  /** The server ends it after this long, in ms. */
  timeout(timeoutMs: number): ShellCommand {
    return this.#with({ timeoutMs });
  }

  /** Ends it when the signal fires. */
  signal(signal: AbortSignal): ShellCommand {
    return this.#with({ signal });
  }

  /** Bytes kept of each stream; default 64 MiB. */
  maxBytes(maxBytes: number): ShellCommand {
    return this.#with({ maxBytes });
  }

  /** Do not reject for a code other than 0. */
  nothrow(): ShellCommand {
    return this.#with({ allowFailure: true });
  }

  /** stdout as text in the command's encoding, without the line end at its end. */
  async text(): Promise<string> {
    const codec = this.#codec();
    return decodeText(await this.bytes(), codec).replace(/\r?\n$/, "");
  }

  /** stdout parsed as JSON. */
  async json(): Promise<unknown> {
    const codec = this.#codec();
    return JSON.parse(decodeText(await this.bytes(), codec));
  }

  /** stdout as bytes. Rejects with `limit_exceeded` if there are more than `maxBytes`. */
  async bytes(): Promise<Uint8Array> {
    const { stdout, truncated } = await this.#run();
    if (!truncated) return stdout;
    throw new LimpetError(
      "limit_exceeded",
      `Command ${this.#name()} wrote more than maxBytes allows`,
      { facts: { stdout } },
    );
  }

  /**
   * stdout line by line, as it comes; stderr is dropped. Rejects at the end as
   * awaiting does. Leaving the loop early closes the command's stdout, so that
   * its next write ends it.
   */
  async *lines(): AsyncGenerator<string, void, void> {
    const { input, allowFailure, maxBytes: _, ...options } = this.#options;
    this.#checkShell();
    const codec = this.#codec();
    const raw = rawInput(input, () => codec);
    const child = this.#session.spawn(this.#line, {
      ...options,
      shell: true,
      stdin: input === undefined ? "null" : "piped",
      stderr: "null",
    });
    const feeding = feed(child, raw);
    const lines = decodeLines(child.stdout, codec).getReader();
    try {
      for (;;) {
        const { done, value } = await lines.read();
        if (done) break;
        yield value;
      }
    } finally {
      await lines.cancel().catch(() => {});
    }
    const status = { ...await child.status, jobId: child.jobId };
    if (status.reason !== null) {
      const facts = { ...statusFacts(status), complete: true };
      throw endedByUs(status, this.#name(), facts, await feeding);
    }
    if (!status.success && !allowFailure) {
      throw this.#failed(status);
    }
  }

  then<T = Output, E = never>(
    onFulfilled?: ((output: Output) => T | PromiseLike<T>) | null,
    onRejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<T | E> {
    return this.#run().then(onFulfilled, onRejected);
  }

  async #run(): Promise<Output> {
    const { input, allowFailure, ...options } = this.#options;
    this.#checkShell();
    const output = await this.#session.output(this.#line, {
      ...options,
      shell: true,
      stdin: input,
    });
    if (output.success || allowFailure) return output;
    throw this.#failed(output);
  }

  /** For a message, which must not fail because its text cannot be read. */
  #shown(bytes: Uint8Array): string {
    try {
      return decodeText(bytes, this.#codec());
    } catch {
      return decodeText(bytes);
    }
  }

  #codec(): TextCodec {
    return this.#session.codec(this.#options.encoding);
  }

  #checkShell(): void {
    if (this.#session.platform.os !== "windows") return;
    throw new LimpetError(
      "unsupported",
      "Values cannot be quoted for cmd.exe: use session.output() with args",
    );
  }

  #failed(
    outcome:
      & Pick<Output, "code" | "signal" | "reason" | "success" | "jobId">
      & {
        stdout?: Uint8Array;
        stderr?: Uint8Array;
      },
  ): LimpetError {
    const { code, signal, stdout, stderr } = outcome;
    const how = signal === null ? `exited with ${code}` : `died of ${signal}`;
    const said = stderr && this.#shown(stderr.subarray(0, 2_000)).trim();
    return new LimpetError(
      "command_failed",
      `Command ${this.#name()} ${how}${said ? `: ${said}` : ""}`,
      {
        facts: {
          ...statusFacts(outcome),
          complete: true,
          stdout,
          stderr,
        },
      },
    );
  }

  #name(): string {
    return commandName(this.#line);
  }

  #with(options: ShellOptions): ShellCommand {
    const merged = { ...this.#options, ...options };
    return new ShellCommand(this.#session, this.#line, merged);
  }
}
