/**
 * The configuration file, from the disk.
 *
 * @module
 */

import type { Machine } from "../machine.ts";
import { configDirectory } from "../token_file.ts";
import { permissionProblems } from "./permissions.ts";
import { formatProblems, type Problem } from "./problem.ts";
import { readConfig } from "./read.ts";
import type { ServerConfig } from "./types.ts";

/** A configuration file as it was found. */
export interface Loaded {
  readonly path: string;
  readonly text: string;
  /** Null if anything is wrong. */
  readonly config: ServerConfig | null;
  /** What is wrong, a line for each: `server.json:12:5: …`. Safe to print. */
  readonly problems: readonly string[];
}

/** Where the configuration is unless another file is named. */
export function defaultConfigPath(
  place: Pick<Machine, "env" | "isWindows">,
): string {
  return `${configDirectory(place)}${place.isWindows ? "\\" : "/"}server.json`;
}

/**
 * Reads and checks a configuration file. Null when there is none; a mistake in
 * it, or in who else may read or change it, is in `problems`. Rejects with the
 * system's error when it cannot be read.
 */
export async function loadConfig(
  { files }: Pick<Machine, "files">,
  path: string,
): Promise<Loaded | null> {
  const found = await files.read(path);
  if (found === null) return null;
  const { text } = found;
  const { config, problems } = await readConfig(text);
  // A file that cannot be understood may hold tokens all the same.
  const hasTokens = config === null
    ? /"token"/.test(text)
    : (config.identities ?? []).some(({ token }) => token !== undefined);
  const permissions = await permissionProblems(files, path, hasTokens);
  const all: Problem[] = [
    ...permissions.map((message) => ({ offset: null, path: [], message })),
    ...problems,
  ];
  return {
    path,
    text,
    config: all.length > 0 ? null : config,
    problems: formatProblems(path, text, all),
  };
}
