/**
 * Node's errors in the form that core's mapping takes. The one place that knows
 * what they look like.
 *
 * @module
 */

import type { OsError } from "../../core/adapter/os_error.ts";

/** Finds the OS's code in an error of Node's (or of Bun's). */
export function osError(cause: unknown): OsError {
  return { code: codeOf(cause), cause };
}

/** `ENOENT` and the like; an error of several attempts has that of the first. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  if ("errors" in error && Array.isArray(error.errors)) {
    return codeOf(error.errors[0]);
  }
  return undefined;
}
