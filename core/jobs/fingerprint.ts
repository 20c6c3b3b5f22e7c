/**
 * Whether a request is the one that a job was started with.
 *
 * @module
 */

import type { ExecRequest } from "../exec/request.ts";

type Name = Exclude<keyof ExecRequest, "jobId" | "traceparent">;

/** What of a request counts. Where it stands in a trace does not. */
export const FINGERPRINT_FIELDS: readonly Name[] = [
  "argv",
  "line",
  "cwd",
  "env",
  "stdin",
  "stdout",
  "stderr",
  "merge",
  "encoding",
  "timeoutMs",
  "killAfterMs",
  "drainMs",
  "onDisconnect",
];

/**
 * A digest of each field: variables may hold secrets, and a record on disk is to
 * have none.
 */
export type Fingerprint = Readonly<Record<Name, string>>;

/** The fingerprint of a request. */
export async function fingerprintOf(
  request: ExecRequest,
): Promise<Fingerprint> {
  const digests = await Promise.all(
    FINGERPRINT_FIELDS.map(async (name) => [
      name,
      await digest(canonical(request[name])),
    ]),
  );
  return Object.fromEntries(digests);
}

/** What `limpet exec` calls them, where that is something else. */
const FLAGS: { readonly [K in keyof ExecRequest]?: string } = {
  line: "-c",
  cwd: "--workdir",
  timeoutMs: "--timeout",
  killAfterMs: "--kill-after",
  drainMs: "--drain",
  onDisconnect: "--on-disconnect",
  jobId: "--job-id",
};

/** A field's name for people, who may be at a command line or in a program. */
export function shownName(name: keyof ExecRequest): string {
  const flag = FLAGS[name];
  return flag === undefined ? name : `${name} (${flag})`;
}

/** The names of the fields in which two requests differ. */
export function differences(one: Fingerprint, other: Fingerprint): Name[] {
  return FINGERPRINT_FIELDS.filter((name) => one[name] !== other[name]);
}

/** The same text for the same value: names in order, absent as absent. */
function canonical(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return JSON.stringify(value);
  }
  const entries = Object.entries(value);
  return JSON.stringify(entries.sort(([a], [b]) => a < b ? -1 : 1));
}

async function digest(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  const hex = (byte: number) => byte.toString(16).padStart(2, "0");
  return Array.from(new Uint8Array(hash, 0, 16), hex).join("");
}
