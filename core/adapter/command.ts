/**
 * From a {@linkcode Command} to what the OS starts: the checks, the shell
 * around a line. Pure, the same on every runtime.
 *
 * @module
 */

import type { LimpetError } from "../errors.ts";
import type { Command } from "../ports.ts";
import { encodeCommand, execOf, type ShellCheck } from "./encoded.ts";
import { startError } from "./os_error.ts";

/** What to start. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  /** Windows: the arguments are one piece of text that nobody must quote. */
  readonly verbatim: boolean;
  /** For messages: the program that was asked for, or the line. */
  readonly title: string;
  /** Not started as `file` itself, so that someone must look whether it exists. */
  readonly wrapped: string | null;
  /** What to add where the OS says that the arguments are too long. */
  readonly hint: string;
  /** Working directory; undefined for the spawner's own. */
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** To be made before the start; null if there is nothing to look at. */
  readonly check: ShellCheck | null;
}

const PACKED =
  "; text that is no UTF-8 is passed on packed, at up to five times its length";

/** Checks a command and puts it into the form the OS takes. */
export function toProgram(command: Command, isWindows: boolean): Program {
  const { argv, line, cwd, env } = command;
  const { wrapperWords = 0 } = command;
  const title = line ?? argv?.[wrapperWords] ?? "";
  const wrapped = wrapperWords === 0 ? null : argv?.[wrapperWords] ?? null;
  checkStrings(command, title);
  const common = { title, cwd, env, verbatim: false, check: null, hint: "" };
  const encoded = isWindows ? null : encodeCommand(command);
  if (encoded !== null) {
    const { program, ...rest } = encoded;
    return {
      ...common,
      ...rest,
      file: "/bin/sh",
      wrapped: program,
      hint: PACKED,
    };
  }
  const merge = command.stderr === "stdout";
  if (line !== undefined) {
    if (isWindows) {
      // /s: strip exactly the outer quotes; /d: no AutoRun commands.
      const text = merge ? `"(${line}) 2>&1"` : `"${line}"`;
      const args = ["/d", "/s", "/c", text];
      return {
        ...common,
        file: "cmd.exe",
        args,
        verbatim: true,
        wrapped: null,
      };
    }
    // A line of its own, so that no syntax of the line can swallow it.
    const text = merge ? `exec 2>&1\n${line}` : line;
    const args = ["-c", text];
    return { ...common, file: "/bin/sh", args, wrapped: null };
  }
  const [file, ...args] = argv ?? [];
  if (!merge) return { ...common, file, args, wrapped };
  if (isWindows) {
    throw startError(
      "unsupported",
      title,
      "merging stderr into stdout needs a shell line on Windows",
      null,
    );
  }
  // No runtime can give one pipe to two descriptors of a child, a shell can. It
  // replaces itself with the program, so pid, signals and exit stay exact.
  return {
    ...common,
    file: "/bin/sh",
    args: ["-c", `${execOf(file)} "$@" 2>&1`, "sh", file, ...args],
    wrapped: wrapped ?? file,
  };
}

function checkStrings(command: Command, title: string): void {
  const { argv, line, cwd, env } = command;
  const fail = (reason: string): LimpetError =>
    startError("invalid_argument", title, reason, null);
  if ((argv === undefined) === (line === undefined)) {
    throw fail("exactly one of argv and line is needed");
  }
  if (argv !== undefined && (argv.length === 0 || argv[0] === "")) {
    throw fail("argv names no program");
  }
  if (argv?.some(hasNul) || (line !== undefined && hasNul(line))) {
    throw fail("an argument contains a NUL character");
  }
  if (cwd !== undefined && hasNul(cwd)) {
    throw fail("the working directory contains a NUL character");
  }
  for (const name of Object.keys(env)) {
    if (hasNul(name) || hasNul(env[name])) {
      throw fail("an environment variable contains a NUL character");
    }
  }
}

function hasNul(text: string): boolean {
  return text.includes("\0");
}
