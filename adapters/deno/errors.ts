/**
 * Deno's errors in the form that core's mapping takes. The one place that knows
 * what they look like.
 *
 * @module
 */

import type { OsError } from "../../core/adapter/os_error.ts";

/** Finds the OS's code in an error of Deno's. */
export function osError(cause: unknown): OsError {
  return { code: codeOf(cause), cause };
}

/** `ENOENT` and the like. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  if (!(error instanceof Error)) return undefined;
  // What has no code of the OS in it, or comes from the resolver, which has
  // codes of its own.
  if (/failed to lookup address/.test(error.message)) return "ENOTFOUND";
  if (/ESRCH/.test(error.message)) return "ESRCH";
  if (/Text file busy/.test(error.message)) return "ETXTBSY";
  if (error instanceof RangeError) return "ERR_SOCKET_BAD_PORT";
  return CODES.find(([type]) => error instanceof type)?.[1];
}

const CODES: readonly (readonly [new () => Error, string])[] = [
  [Deno.errors.NotFound, "ENOENT"],
  [Deno.errors.PermissionDenied, "EACCES"],
  [Deno.errors.AddrInUse, "EADDRINUSE"],
  [Deno.errors.ConnectionRefused, "ECONNREFUSED"],
  [Deno.errors.ConnectionReset, "ECONNRESET"],
  [Deno.errors.BrokenPipe, "EPIPE"],
  [Deno.errors.TimedOut, "ETIMEDOUT"],
];
