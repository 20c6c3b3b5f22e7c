/**
 * Where a program is, and why it cannot be started from there: the search of
 * PATH and the words for what it finds. Looking at files is up to the adapter.
 *
 * @module
 */

import type { LimpetError } from "../errors.ts";
import { type OsError, startError } from "./os_error.ts";

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
