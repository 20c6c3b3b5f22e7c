/**
 * Who else could have read or changed a configuration file.
 *
 * @module
 */

import type { FileAccess, Files } from "../machine.ts";

/** Where to look. */
export interface PermissionPlace {
  readonly files: Pick<Files, "status" | "realPath">;
  /** Of whoever runs us; what is above it is not looked at. */
  readonly home?: string | undefined;
}

/**
 * What is wrong with who may do what with the file, as OpenSSH's `StrictModes`
 * asks it: owner and mode, of the file as it was read and of every folder above
 * it, up to the home directory. Where the system has no modes, nothing is.
 */
export async function permissionProblems(
  { files, home }: PermissionPlace,
  path: string,
  file: FileAccess,
  hasTokens: boolean,
): Promise<string[]> {
  // Through a symbolic link there are two ways: who can exchange the link, and
  // who the file itself.
  const real = await files.realPath(path) ?? path;
  const top = home === undefined
    ? []
    : [home, await files.realPath(home).catch(() => null)];
  const own = [folderOf(path), folderOf(real)];
  const folders = await distinct(
    files,
    own.flatMap((folder) => foldersUpTo(folder, top)),
  );
  return [
    ...problemsOf(file, path, "the file"),
    ...file.mode !== null && hasTokens && (file.mode & 0o044) !== 0
      ? [
        "the file holds tokens and can be read by others than its owner (mode " +
        `${
          octal(file.mode)
        }): run "chmod 600 ${path}", and replace the tokens ` +
        "if anyone may have seen them",
      ]
      : [],
    ...(await Promise.all(folders.map(async (folder) => {
      const isOwn = own.includes(folder);
      const status = await files.status(folder).catch((error) => {
        // A runtime with permissions of its own may not let us look up there.
        if (isOwn) throw error;
        return null;
      });
      const what = isOwn ? "its folder" : "a folder above it";
      return status === null ? [] : problemsOf(status, folder, what);
    }))).flat(),
  ];
}

/** The same of a folder of ours: of itself, if it is there, and of those above. */
export async function folderProblems(
  { files, home }: PermissionPlace,
  path: string,
): Promise<string[]> {
  const real = await files.realPath(path).catch(() => null) ?? path;
  const top = home === undefined
    ? []
    : [home, await files.realPath(home).catch(() => null)];
  const folders = [...new Set([path, real])];
  const above = new Set(folders.flatMap((each) => foldersUpTo(each, top)));
  const problems = await Promise.all([...above].map(async (folder) => {
    // What is not there is made by us; what is no folder is told by who uses it.
    const status = await files.status(folder).catch(() => null);
    const what = folders.includes(folder) ? "the folder" : "a folder above it";
    return status === null ? [] : problemsOf(status, folder, what);
  }));
  return problems.flat();
}

function problemsOf(
  { mode, owner }: FileAccess,
  path: string,
  what: "the file" | "its folder" | "the folder" | "a folder above it",
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
  const sticky = what !== "the file" && (mode & 0o1000) !== 0;
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

/** One name of each: `cfg` and `/etc/cfg` may be the same folder. */
async function distinct(
  files: PermissionPlace["files"],
  folders: readonly string[],
): Promise<string[]> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    const real = await files.realPath(folder).catch(() => null) ?? folder;
    if (!found.has(real)) found.set(real, folder);
  }
  return [...found.values()];
}

/** That the folder which a path is in is not there; null if it is. */
export async function missingFolder(
  files: Pick<Files, "realPath">,
  path: string,
): Promise<string | null> {
  const folder = folderOf(path);
  const found = await files.realPath(folder);
  return found === null ? `there is no folder ${folder}` : null;
}

/** The folder that a path is in. */
export function folderOf(path: string): string {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return at < 0 ? "." : at === 0 ? path.slice(0, 1) : path.slice(0, at);
}

/** A folder and those above it; the last one is of `top`, if one of it is there. */
function foldersUpTo(
  folder: string,
  top: readonly (string | null)[],
): string[] {
  const above = folderOf(folder);
  return above === folder || above === "." || top.includes(folder)
    ? [folder]
    : [folder, ...foldersUpTo(above, top)];
}
