/**
 * What a configuration names outside of itself: users, directories, files. Each
 * finding stands where its name does.
 *
 * @module
 */

import type { Node } from "jsonc-parser";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { Machine } from "../machine.ts";
import { readPem, readTls, serverTls, validityWarning } from "../tls_server.ts";
import { parseDocument } from "./document.ts";
import type { Loaded } from "./load.ts";
import { folderOf } from "./permissions.ts";
import { policiesOf } from "./policy.ts";
import { formatProblems, type Path, type Problem } from "./problem.ts";
import { property } from "./property.ts";

/** Lines as those of {@linkcode Loaded}. */
export interface Findings {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Users that policies name and that commands cannot be run as, for which
 * `findUser` throws; and directories that are not there, which may come yet.
 */
export async function policyFindings(
  loaded: Loaded,
  files: Pick<Machine["files"], "realPath">,
  findUser: (user: string) => Promise<unknown>,
): Promise<Findings> {
  const found = await Collected.of(loaded);
  for (const { policy, path } of policiesOf(found.root)) {
    const runAs = property(policy, "runAs");
    if (runAs !== undefined) {
      await found.problemOf(
        runAs,
        [...path, "runAs"],
        () => findUser(runAs.value),
      );
    }
    const folders = property(policy, "cwd")?.children ?? [];
    for (const [n, folder] of folders.entries()) {
      const why = await missing(files, folder.value, n === 0);
      if (why !== null) found.warn(folder, [...path, "cwd", n], why);
    }
  }
  return found.lines();
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
  loaded: Loaded,
  place: Machine,
): Promise<Findings> {
  const found = await Collected.of(loaded);
  const tls = property(found.root, "tls");
  const files = loaded.config?.tls;
  if (tls === undefined || files === undefined) return found.lines();
  let isRead = true;
  for (const name of ["cert", "key", "clientCa"] as const) {
    const node = property(tls, name);
    const path = files[name];
    if (node === undefined || path === undefined) continue;
    const isSecret = path === files.key;
    const there = await found.problemOf(
      node,
      ["tls", name],
      () => readPem(place, path, isSecret),
    );
    isRead &&= there;
  }
  const cert = property(tls, "cert");
  if (!isRead || cert === undefined) return found.lines();
  await found.problemOf(cert, ["tls", "cert"], async () => {
    const { options } = await serverTls(place, await readTls(place, files));
    const validity = await place.inspectTls(options);
    const why = validityWarning(validity, Date.now());
    if (why !== null) found.warn(cert, ["tls", "cert"], why);
  });
  return found.lines();
}

/** Whether the audit log has a folder, without which no server starts. */
export async function auditFindings(
  loaded: Loaded,
  files: Pick<Machine["files"], "realPath">,
): Promise<Findings> {
  const found = await Collected.of(loaded);
  const audit = property(found.root, "audit");
  const node = audit && property(audit, "file");
  const file = loaded.config?.audit?.file;
  if (node === undefined || file === undefined || file === "stderr") {
    return found.lines();
  }
  const folder = folderOf(file);
  await found.problemOf(node, ["audit", "file"], async () => {
    if (await files.realPath(folder) !== null) return;
    throw new LimpetError("invalid_argument", `there is no folder ${folder}`);
  });
  return found.lines();
}

/** Findings in a file that has no mistakes of its own. */
class Collected {
  readonly root: Node;
  readonly #loaded: Loaded;
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];

  private constructor(loaded: Loaded, root: Node) {
    this.#loaded = loaded;
    this.root = root;
  }

  static async of(loaded: Loaded): Promise<Collected> {
    const { root } = await parseDocument(loaded.text);
    if (root === null) throw new TypeError("Only of a file that can be read");
    return new Collected(loaded, root);
  }

  warn({ offset }: Node, path: Path, message: string): void {
    this.#warnings.push({ offset, path, message });
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
      this.#problems.push({ offset, path, message });
      return false;
    }
  }

  lines(): Findings {
    const { path, text } = this.#loaded;
    return {
      problems: formatProblems(path, text, this.#problems),
      warnings: formatProblems(path, text, this.#warnings, "warning: "),
    };
  }
}
