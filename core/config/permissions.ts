/**
 * Who else could have read or changed a configuration file.
 *
 * @module
 */

import type { Files, FileStatus } from "../machine.ts";

/**
 * What is wrong with who may do what with the file, as OpenSSH's `StrictModes`
 * asks it: owner, mode, folder. Where the system has no modes, nothing is.
 */
export async function permissionProblems(
  files: Pick<Files, "status" | "realPath">,
  path: string,
  hasTokens: boolean,
): Promise<string[]> {
  const file = await files.status(path);
  // Through a symbolic link there are two: who can exchange the link, and who
  // the file itself.
  const real = await files.realPath(path) ?? path;
  const folders = [...new Set([folderOf(path), folderOf(real)])];
  return [
    ...file === null ? [] : problemsOf(file, path, "the file"),
    ...file?.mode && hasTokens && (file.mode & 0o044) !== 0
      ? [
        "the file holds tokens and can be read by others than its owner (mode " +
        `${
          octal(file.mode)
        }): run "chmod 600 ${path}", and replace the tokens ` +
        "if anyone may have seen them",
      ]
      : [],
    ...(await Promise.all(folders.map(async (folder) => {
      const status = await files.status(folder);
      return status === null ? [] : problemsOf(status, folder, "its folder");
    }))).flat(),
  ];
}

function problemsOf(
  { mode, owner }: FileStatus,
  path: string,
  what: string,
): string[] {
  if (mode === null) return [];
  const problems: string[] = [];
  if (owner === "other") {
    problems.push(
      `${what} belongs to another user, who can change it: run ` +
        `"chown $(id -u) ${path}"`,
    );
  }
  // In a folder like /tmp (mode 1777) nobody can exchange another's file.
  const sticky = what === "its folder" && (mode & 0o1000) !== 0;
  if ((mode & 0o022) !== 0 && !sticky) {
    problems.push(
      `${what} can be changed by others than its owner (mode ${
        octal(mode)
      }): ` +
        `run "chmod go-w ${path}"`,
    );
  }
  return problems;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

/** The folder that a path is in. */
export function folderOf(path: string): string {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return at < 0 ? "." : at === 0 ? path.slice(0, 1) : path.slice(0, at);
}
