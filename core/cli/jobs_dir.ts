/**
 * Where `limpet serve` keeps its jobs.
 *
 * @module
 */

import { folderProblems } from "../config/permissions.ts";
import { LimpetError } from "../errors.ts";
import type { JobsFolder } from "../server.ts";
import type { Arguments } from "./args.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Of an address so much is to be seen in the name of its folder. */
const MAX_SEEN_LENGTH = 80;

/**
 * The folder of a server at this address: in `--jobs-dir`, else in systemd's
 * `$STATE_DIRECTORY/jobs`, else in `$XDG_STATE_HOME/limpet/jobs` or what stands for
 * it. Undefined if there are to be no jobs, or there is no place for them. Of one
 * that others than us could change, throws `invalid_argument` if it was named, and
 * warns if not.
 */
export async function jobsFolder(
  runtime: CliRuntime,
  args: Arguments,
  address: string,
  report: Reporter,
): Promise<JobsFolder | undefined> {
  const given = args.value("jobs-dir");
  const directory = given ?? defaultDirectory(runtime);
  if (directory === undefined || directory === "off") return undefined;
  const path = `${directory}/${await nameOf(address)}`;
  const place = { files: runtime.files, home: runtime.env("HOME") };
  const [problem] = await folderProblems(place, path);
  if (problem !== undefined) {
    const message = `Cannot keep jobs in ${directory}: ${problem}; or name ` +
      "another one with --jobs-dir, off for none";
    if (given !== undefined) {
      throw new LimpetError("invalid_argument", message);
    }
    // A server that nobody asked to keep any serves without.
    report.warn(message);
    return undefined;
  }
  return {
    files: runtime.jobFiles,
    path,
    // Who names one is to hear at once if it cannot be used.
    eager: given !== undefined,
  };
}

/** A name that people know again, and that no two addresses share. */
async function nameOf(address: string): Promise<string> {
  const seen = address.replace(/[^A-Za-z0-9]+/g, "_").slice(0, MAX_SEEN_LENGTH);
  const bytes = new TextEncoder().encode(address);
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  const hex = (byte: number) => byte.toString(16).padStart(2, "0");
  return `${seen}-${Array.from(new Uint8Array(digest, 0, 8), hex).join("")}`;
}

function defaultDirectory(
  { env, isWindows }: Pick<CliRuntime, "env" | "isWindows">,
): string | undefined {
  // Of several that a unit may have, the first.
  const state = env("STATE_DIRECTORY")?.split(":")[0];
  if (state) return `${state}/jobs`;
  const xdg = env("XDG_STATE_HOME");
  if (xdg) return `${xdg}/limpet/jobs`;
  if (isWindows) {
    const local = env("LOCALAPPDATA");
    return local && `${local}/limpet/jobs`;
  }
  const home = env("HOME");
  return home && `${home}/.local/state/limpet/jobs`;
}
