/**
 * Finds out what is wrong with a command that cannot start, as far as Deno lets
 * us look. Without `--allow-read` Deno's own error has to do.
 *
 * @module
 */

import type { Program } from "../../core/adapter/command.ts";
import { checkError } from "../../core/adapter/encoded.ts";
import { type OsError, startError } from "../../core/adapter/os_error.ts";
import {
  directoryError,
  type DirectoryKind,
  type FileKind,
  searchError,
  searchProgram,
} from "../../core/adapter/search.ts";
import type { LimpetError } from "../../core/errors.ts";
import { codeOf } from "./errors.ts";

/** Looks at what only a shell can name. */
export async function askShell(program: Program): Promise<void> {
  const { check, cwd, env, title } = program;
  if (check === null) return;
  let code: number | null = null;
  try {
    ({ code } = await new Deno.Command("/bin/sh", {
      args: [...check.args],
      cwd,
      env: { ...env },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output());
  } catch {
    // Whatever is the matter, it shows at the start.
  }
  const error = checkError(title, check, code);
  if (error !== null) throw error;
}

/**
 * Where the program is. Deno's own search differs from `execvp` in details: it
 * does not know relative parts of PATH, and it skips a file that cannot be
 * executed and reports it as missing.
 */
export function locate(program: Program): string {
  const { file, wrapped } = program;
  if (program.verbatim) return file;
  const path = search(program, wrapped ?? file);
  return wrapped === null ? path : file;
}

function search({ env, cwd, title }: Program, file: string): string {
  const from = cwd ?? ownCwd();
  if (++searches === 2) {
    import("node:fs").then(({ existsSync }) => isThere = existsSync);
  }
  const glance = searchProgram(file, env, from, glanceAtFile);
  // Why it is none is for the whole look to tell.
  const { kind, path } = glance.kind === "executable"
    ? glance
    : searchProgram(file, env, from, lookAtFile);
  if (kind === "executable" || kind === "unknown") return path ?? file;
  const error = cwdError(cwd, title, null) ??
    searchError(title, file, kind, null);
  if (error !== null) throw error;
  return file;
}

/** Null if nothing can be found that the OS's code does not say already. */
export function diagnose(
  { cwd, env, file, title }: Program,
  error: OsError,
): LimpetError | null {
  const { code } = error;
  if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "EACCES") return null;
  const wrongDirectory = cwdError(cwd, title, error);
  if (wrongDirectory !== null || code !== "ENOENT") return wrongDirectory;
  const { kind } = searchProgram(file, env, cwd ?? ownCwd(), lookAtFile);
  return kind === "executable"
    ? startError(
      "not_executable",
      title,
      "the interpreter it names does not exist",
      error,
    )
    : searchError(title, file, "missing", error);
}

function cwdError(
  cwd: string | undefined,
  title: string,
  error: OsError | null,
): LimpetError | null {
  if (cwd === undefined) return null;
  return directoryError(title, cwd, lookAtDirectory(cwd, error), error);
}

function lookAtDirectory(path: string, error: OsError | null): DirectoryKind {
  try {
    if (!Deno.statSync(path).isDirectory) return "not a directory";
    return error?.code === "EACCES" ? canEnter(path) : "usable";
  } catch (failure) {
    if (failure instanceof Deno.errors.NotCapable) return toldBy(error);
    if (codeOf(failure) === "EACCES") return "no permission";
    return codeOf(failure) === "ENOTDIR" ? "not a directory" : "missing";
  }
}

/** Any file in it can be asked for, if it can be entered. */
function canEnter(path: string): DirectoryKind {
  try {
    Deno.statSync(`${path}/.`);
    return "usable";
  } catch (failure) {
    return codeOf(failure) === "EACCES" ? "no permission" : "unknown";
  }
}

/** Without `--allow-read` there is only the text of Deno's message. */
function toldBy(error: OsError | null): DirectoryKind {
  const message = error?.cause instanceof Error ? error.cause.message : "";
  if (message.includes("No such cwd")) return "missing";
  if (message.includes("cwd is not a directory")) return "not a directory";
  return "unknown";
}

/**
 * Most folders of PATH do not have the program, and to throw that takes Deno many
 * times as long as to look. Loaded with the second search: who starts one program
 * does not wait for it.
 */
let isThere: ((path: string) => boolean) | undefined;
let searches = 0;

function glanceAtFile(path: string): FileKind {
  try {
    if (isThere?.(path) === false) return "missing";
  } catch {
    // We may not look.
  }
  return lookAtFile(path);
}

function lookAtFile(path: string): FileKind {
  try {
    const { isDirectory, mode } = Deno.statSync(path);
    if (isDirectory) return "directory";
    // Whether the bit is meant for us is for the OS to say.
    return mode === null || (mode & 0o111) !== 0
      ? "executable"
      : "not executable";
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return "unknown";
    return codeOf(error) === "EACCES" ? "not executable" : "missing";
  }
}

/** Where a command runs that names no directory. */
function ownCwd(): string {
  try {
    return Deno.cwd();
  } catch {
    return ".";
  }
}
