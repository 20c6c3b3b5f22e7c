/**
 * Finds out what was wrong with a command that did not start. The OS says
 * ENOENT for a missing program and for a missing working directory alike.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
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

/** Null if nothing can be found that the OS's code does not say already. */
export function diagnose(
  program: Program,
  error: OsError,
): LimpetError | null {
  const { code } = error;
  if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "EACCES") return null;
  const { file, title } = program;
  return cwdError(program, error) ??
    programError(program, file, error) ??
    (code === "ENOENT"
      ? startError(
        "not_executable",
        title,
        "the interpreter it names does not exist",
        error,
      )
      : null);
}

/** Looks at what only a shell can name. */
export async function askShell(program: Program): Promise<void> {
  const { check, cwd, env, title } = program;
  if (check === null) return;
  const code = await new Promise<number | null>((resolve) => {
    // Null if it does not start: whatever is the matter, it shows at the start.
    spawn("/bin/sh", check.args, { cwd, env: { ...env }, stdio: "ignore" })
      .once("error", () => resolve(null))
      .once("exit", resolve);
  });
  const error = checkError(title, check, code);
  if (error !== null) throw error;
}

/** A program that a shell is to start has to be looked for beforehand. */
export function checkBefore(program: Program): void {
  const { wrapped } = program;
  if (wrapped === null) return;
  const error = cwdError(program, null) ?? programError(program, wrapped, null);
  if (error !== null) throw error;
}

function cwdError(
  { cwd, title }: Program,
  error: OsError | null,
): LimpetError | null {
  if (cwd === undefined) return null;
  return directoryError(title, cwd, lookAtDirectory(cwd), error);
}

function programError(
  { env, cwd, title }: Program,
  file: string,
  error: OsError | null,
): LimpetError | null {
  const { kind } = searchProgram(file, env, cwd ?? process.cwd(), lookAtFile);
  return searchError(title, file, kind, error);
}

function lookAtDirectory(path: string): DirectoryKind {
  try {
    if (!statSync(path).isDirectory()) return "not a directory";
    accessSync(path, constants.X_OK);
    return "usable";
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES") return "no permission";
    return code === "ENOTDIR" ? "not a directory" : "missing";
  }
}

function lookAtFile(path: string): FileKind {
  try {
    const info = statSync(path);
    if (info.isDirectory()) return "directory";
    accessSync(path, constants.X_OK);
    return "executable";
  } catch (error) {
    return codeOf(error) === "EACCES" ? "not executable" : "missing";
  }
}
