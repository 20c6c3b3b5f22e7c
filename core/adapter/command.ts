/**
 * From a {@linkcode Command} to what the OS starts: the checks, the shell
 * around a line, the search of PATH. Pure, the same on every runtime.
 *
 * @module
 */

import type { LimpetError } from "../errors.ts";
import type { Command } from "../ports.ts";
import { type OsError, startError } from "./os_error.ts";

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
}

/** Checks a command and puts it into the form the OS takes. */
export function toProgram(command: Command, isWindows: boolean): Program {
  const { argv, line } = command;
  const title = line ?? argv?.[0] ?? "";
  checkStrings(command, title);
  const merge = command.stderr === "stdout";
  if (line !== undefined) {
    if (isWindows) {
      // /s: strip exactly the outer quotes; /d: no AutoRun commands.
      const text = merge ? `"(${line}) 2>&1"` : `"${line}"`;
      const args = ["/d", "/s", "/c", text];
      return { file: "cmd.exe", args, verbatim: true, title, wrapped: null };
    }
    // A line of its own, so that no syntax of the line can swallow it.
    const text = merge ? `exec 2>&1\n${line}` : line;
    const args = ["-c", text];
    return { file: "/bin/sh", args, verbatim: false, title, wrapped: null };
  }
  const [file, ...args] = argv ?? [];
  if (!merge) return { file, args, verbatim: false, title, wrapped: null };
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
    file: "/bin/sh",
    args: ["-c", 'exec "$@" 2>&1', "sh", file, ...args],
    verbatim: false,
    title,
    wrapped: file,
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
  for (const [name, value] of Object.entries(env)) {
    if (hasNul(name) || hasNul(value)) {
      throw fail("an environment variable contains a NUL character");
    }
  }
}

function hasNul(text: string): boolean {
  return text.includes("\0");
}

/** What can be found out about a file without starting it. */
export type FileKind =
  | "executable"
  | "not executable"
  | "directory"
  | "missing"
  /** The runtime does not let us look. */
  | "unknown";

/** Where `execvp` would look for a program, in its order. */
export function candidates(
  file: string,
  env: Readonly<Record<string, string>>,
  cwd: string,
): string[] {
  if (file.includes("/")) return [resolvePath(file, cwd)];
  // What execvp takes if there is no PATH at all. An empty part is the cwd.
  const path = env.PATH ?? "/bin:/usr/bin";
  return path.split(":").map((part) =>
    resolvePath(`${part === "" ? "." : part}/${file}`, cwd)
  );
}

/** A relative path belongs to the command's working directory, not to ours. */
function resolvePath(path: string, cwd: string): string {
  return path.startsWith("/") ? path : `${cwd}/${path}`;
}

/** The outcome of a search like the one that `execvp` does. */
export interface Search {
  readonly kind: FileKind;
  /** Where the program is, if `kind` is `executable`. */
  readonly path: string | null;
}

/**
 * Searches as `execvp` does: a file without permission does not end the search,
 * but is what is reported if there is nothing better.
 */
export function searchProgram(
  file: string,
  env: Readonly<Record<string, string>>,
  cwd: string,
  look: (path: string) => FileKind,
): Search {
  let kind: FileKind = "missing";
  for (const path of candidates(file, env, cwd)) {
    const found = look(path);
    if (found === "executable") return { kind: found, path };
    if (found === "unknown" || kind === "missing") kind = found;
    if (found === "unknown") break;
  }
  return { kind, path: null };
}

/** The error for a program that a search did not find, null if it did. */
export function searchError(
  title: string,
  file: string,
  kind: FileKind,
  error: OsError | null,
): LimpetError | null {
  switch (kind) {
    case "missing":
      return startError(
        "not_found",
        title,
        file.includes("/") ? "no such file" : "no such command in PATH",
        error,
      );
    case "directory":
      return startError("not_executable", title, "is a directory", error);
    case "not executable":
      return startError(
        "not_executable",
        title,
        "permission denied: the file is not executable",
        error,
      );
    default:
      return null;
  }
}

/** What can be found out about a working directory. */
export type DirectoryKind =
  | "usable"
  | "missing"
  | "not a directory"
  | "no permission"
  | "unknown";

/** The error for a working directory that cannot be entered, null if it can. */
export function directoryError(
  title: string,
  cwd: string,
  kind: DirectoryKind,
  error: OsError | null,
): LimpetError | null {
  const reason = {
    "usable": null,
    "missing": "does not exist",
    "not a directory": "is not a directory",
    "no permission": "cannot be entered: permission denied",
    "unknown": null,
  }[kind];
  if (reason === null) return null;
  return startError(
    "cwd_not_found",
    title,
    `working directory ${JSON.stringify(cwd)} ${reason}`,
    error,
  );
}
