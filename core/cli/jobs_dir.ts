/**
 * Where `limpet serve` keeps its jobs.
 *
 * @module
 */

import type { JobsFolder } from "../server.ts";
import type { Arguments } from "./args.ts";
import type { CliRuntime } from "./runtime.ts";

/** Longest name of a server's folder in it. */
const MAX_NAME_LENGTH = 100;

/**
 * The folder of a server at this address: in `--jobs-dir`, else in systemd's
 * `$STATE_DIRECTORY/jobs`, else in `$XDG_STATE_HOME/limpet/jobs` or what stands for
 * it. Undefined if there are to be no jobs, or there is no place for them.
 */
export function jobsFolder(
  runtime: CliRuntime,
  args: Arguments,
  address: string,
): JobsFolder | undefined {
  const given = args.value("jobs-dir");
  const directory = given ?? defaultDirectory(runtime);
  if (directory === undefined || directory === "off") return undefined;
  const name = address.replace(/[^A-Za-z0-9]+/g, "_").slice(0, MAX_NAME_LENGTH);
  return {
    files: runtime.jobFiles,
    path: `${directory}/${name}`,
    // Who names one is to hear at once if it cannot be used.
    eager: given !== undefined,
  };
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
