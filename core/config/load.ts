/**
 * The configuration file, from the disk.
 *
 * @module
 */

import { asLimpetError } from "../errors.ts";
import type { Machine } from "../machine.ts";
import { configDirectory } from "../token_file.ts";
import { withPaths } from "./paths.ts";
import { permissionProblems } from "./permissions.ts";
import { type Findings, type Problem, tell, type Told } from "./problem.ts";
import { readConfig } from "./read.ts";
import type { ServerConfig } from "./types.ts";

/** A configuration file as it was found. */
export interface Loaded extends Told {
  readonly path: string;
  readonly text: string;
  /** Null if anything is wrong. */
  readonly config: ServerConfig | null;
  /** What its lines tell. */
  readonly findings: Findings;
}

/** Where the configuration is unless another file is named. */
export function defaultConfigPath(
  place: Pick<Machine, "env" | "isWindows">,
): string {
  return `${configDirectory(place)}${place.isWindows ? "\\" : "/"}server.json`;
}

/**
 * Reads and checks a configuration file. Null when there is none; a mistake in
 * it, or in who else may read or change it, is in `problems`. Rejects with
 * `invalid_argument` when it cannot be read.
 */
export async function loadConfig(
  { files, env }: Pick<Machine, "files" | "env">,
  path: string,
): Promise<Loaded | null> {
  const failed = (error: unknown) => {
    throw asLimpetError(error, "invalid_argument", `Cannot read ${path}`);
  };
  const found = await files.read(path).catch(failed);
  if (found === null) return null;
  const { text } = found;
  const read = await readConfig(text);
  const { config } = read;
  // A file that cannot be understood may hold tokens all the same.
  const hasTokens = config === null
    ? /"token"/.test(text)
    : (config.identities ?? []).some(({ token }) => token !== undefined);
  const place = { files, home: env("HOME") };
  const permissions = await permissionProblems(place, path, found, hasTokens)
    .catch(failed);
  const problems: Problem[] = [
    ...permissions.map((message) => ({ offset: null, path: [], message })),
    ...read.problems,
  ];
  const warnings = read.config === null ? [] : read.warnings;
  const findings = { problems, warnings };
  return {
    path,
    text,
    config: config === null || problems.length > 0
      ? null
      : withPaths(config, path),
    findings,
    ...tell({ path, text }, findings),
  };
}
