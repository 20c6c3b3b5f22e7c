/**
 * What a configuration names outside of itself: users, directories, files. Each
 * finding stands where its name does.
 *
 * @module
 */

import type { Node } from "jsonc-parser";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { Machine } from "../machine.ts";
import {
  readPem,
  readTls,
  serverTls,
  type TlsFiles,
  validityWarning,
} from "../tls_server.ts";
import { parseDocument } from "./document.ts";
import type { Loaded } from "./load.ts";
import { placed } from "./paths.ts";
import { folderOf, missingFolder } from "./permissions.ts";
import { policiesOf } from "./policy.ts";
import type { Findings, Path, Problem } from "./problem.ts";
import { property } from "./property.ts";

/** The file, which may have mistakes of its own: what can be read is looked at. */
type Text = Pick<Loaded, "path" | "text">;

/**
 * Users that policies name and that commands cannot be run as, for which
 * `findUser` throws, or resolves to what may be in the way; and directories that
 * are not there, which may come yet.
 */
export async function policyFindings(
  file: Text,
  files: Pick<Machine["files"], "realPath">,
  findUser: (user: string) => Promise<string | null>,
): Promise<Findings> {
  const found = new Collected();
  const root = await rootOf(file);
  for (const { policy, path } of root === null ? [] : policiesOf(root)) {
    const runAs = textOf(policy, "runAs");
    if (runAs !== undefined) {
      await found.problemOf(
        runAs.node,
        [...path, "runAs"],
        async () => {
          const why = await findUser(runAs.text);
          if (why !== null) found.warn(runAs.node, [...path, "runAs"], why);
        },
      );
    }
    const folders = property(policy, "cwd")?.children ?? [];
    for (const [n, folder] of folders.entries()) {
      if (typeof folder.value !== "string") continue;
      const why = await missing(files, folder.value, n === 0);
      if (why !== null) found.warn(folder, [...path, "cwd", n], why);
    }
  }
  return found;
}

/** What to say of a directory that commands cannot start in; null for others. */
async function missing(
  files: Pick<Machine["files"], "realPath">,
  path: string,
  isDefault: boolean,
): Promise<string | null> {
  try {
    if (await files.realPath(path) !== null) return null;
  } catch (error) {
    // Of the system, or of a runtime with permissions of its own.
    return asLimpetError(error, "refused", "this cannot be looked at").message;
  }
  return isDefault
    ? "there is no such directory, and no command starts unless its client " +
      "asks for another one"
    : "there is no such directory";
}

/** Whether the files of `tls` are there and can be used, and for how long. */
export async function tlsFindings(
  file: Text,
  place: Machine,
): Promise<Findings> {
  const found = new Collected();
  const root = await rootOf(file);
  const tls = root === null ? undefined : property(root, "tls");
  if (tls === undefined) return found;
  const files: Partial<Record<keyof TlsFiles, string>> = {};
  for (const name of TLS_FILES) {
    const written = textOf(tls, name);
    if (written !== undefined) files[name] = placed(written.text, file.path);
  }
  let isRead = true;
  for (const name of TLS_FILES) {
    const path = files[name];
    if (path === undefined) continue;
    const there = await found.problemOf(
      property(tls, name)!,
      ["tls", name],
      () => readPem(place, path, path === files.key),
    );
    isRead &&= there;
  }
  const cert = property(tls, "cert");
  if (!isRead || cert === undefined || files.key === undefined) return found;
  await found.problemOf(cert, ["tls", "cert"], async () => {
    const { options } = await serverTls(place, await readTls(place, files));
    const validity = await place.inspectTls(options);
    const why = validityWarning(validity, Date.now());
    if (why !== null) found.warn(cert, ["tls", "cert"], why);
  });
  return found;
}

const TLS_FILES = ["cert", "key", "clientCa"] as const;

/** Whether the audit log can be a file: without one no server starts. */
export async function auditFindings(
  file: Text,
  files: Pick<Machine["files"], "realPath" | "status">,
): Promise<Findings> {
  const found = new Collected();
  const root = await rootOf(file);
  const audit = root === null ? undefined : property(root, "audit");
  const log = audit && textOf(audit, "file");
  if (log === undefined || log.text === "stderr") return found;
  const path = placed(log.text, file.path);
  await found.problemOf(log.node, ["audit", "file"], async () => {
    const why = await missingFolder(files, path) ?? await noFile(files, path);
    if (why !== null) throw new LimpetError("invalid_argument", why);
  });
  return found;
}

/** Why there is no file of this path, whose folder is there, nor can be; or null. */
async function noFile(
  files: Pick<Machine["files"], "status">,
  path: string,
): Promise<string | null> {
  const folder = folderOf(path);
  if ((await files.status(folder))?.isFolder === false) {
    return `${folder} is no folder: name a file in one`;
  }
  return (await files.status(path))?.isFolder
    ? `${path} is a folder: name a file in it`
    : null;
}

/** Null if it is no JSON, of which nothing more can be said. */
async function rootOf({ text }: Text): Promise<Node | null> {
  return (await parseDocument(text)).root;
}

/** The value of a key if it is a text, and no empty one. */
function textOf(
  node: Node,
  key: string,
): { readonly node: Node; readonly text: string } | undefined {
  const found = property(node, key);
  return typeof found?.value === "string" && found.value !== ""
    ? { node: found, text: found.value }
    : undefined;
}

class Collected implements Findings {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];

  warn({ offset }: Node, path: Path, message: string): void {
    this.warnings.push({ offset, path, message });
  }

  /** Whether it can be done; if not, why is a problem. */
  async problemOf(
    { offset }: Node,
    path: Path,
    attempt: () => Promise<unknown>,
  ): Promise<boolean> {
    try {
      await attempt();
      return true;
    } catch (thrown) {
      const { message } = asLimpetError(thrown, "refused", "Looking at it");
      this.problems.push({ offset, path, message });
      return false;
    }
  }
}
