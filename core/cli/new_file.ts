/**
 * Secrets that are made, in files of their own.
 *
 * @module
 */

import { folderOf } from "../config/permissions.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { CliRuntime } from "./runtime.ts";

/** Throws `invalid_argument` if there is no folder for a file that is named. */
export async function checkFolder(
  { files }: CliRuntime,
  path: string,
): Promise<void> {
  const folder = folderOf(path);
  const found = await files.realPath(folder).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot write ${path}`);
  });
  if (found !== null) return;
  throw new LimpetError(
    "invalid_argument",
    `Cannot write ${path}: there is no folder ${folder}`,
  );
}

/**
 * Puts a secret into a file that is not there yet, and that nobody else can read.
 * Throws `invalid_argument` if it is there, or cannot be made.
 */
export async function makeSecretFile(
  { files }: CliRuntime,
  path: string,
  text: string,
): Promise<void> {
  const made = await files.createPrivate(path, text).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot write ${path}`);
  });
  if (made) return;
  throw new LimpetError(
    "invalid_argument",
    `There is a file ${path} already, which is left as it is: name another ` +
      "with --out FILE",
  );
}
