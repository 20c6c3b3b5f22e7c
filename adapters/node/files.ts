/**
 * The few files Limpet touches by itself.
 *
 * @module
 */

import { constants } from "node:fs";
import {
  link,
  mkdir,
  open,
  realpath,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import type {
  FileAccess,
  FileContents,
  Files,
  FileStatus,
} from "../../core/machine.ts";
import type { LogFile } from "../../core/ports.ts";
import { inWords, logError } from "../../core/adapter/os_error.ts";
import { codeOf, osError } from "./errors.ts";

/** See {@linkcode Files}. */
export const files: Files = {
  read: inWords(read, osError),
  createPrivate: inWords(createPrivate, osError),
  replacePrivate: inWords(replacePrivate, osError),
  status: inWords(status, osError),
  remove: inWords(remove, osError),
  realPath: inWords(realPath, osError),
  openLog,
};

async function read(path: string): Promise<FileContents | null> {
  try {
    const file = await open(path);
    try {
      // Of the open file, so that they and the text belong together.
      const access = accessOf(await file.stat());
      return { ...access, text: await file.readFile("utf8") };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

async function createPrivate(path: string, text: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Whole under another name first, then there at once: a link, unlike a
  // renaming, fails if the name is taken.
  const draft = `${path}.${crypto.randomUUID()}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    await link(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await file.close();
    await unlink(draft);
  }
}

async function replacePrivate(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const before = await stat(target).catch(() => null);
  const draft = `${target}.${crypto.randomUUID()}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(text);
    // Root may write the file of the user whom the server runs as.
    if (before !== null && before.uid !== process.getuid?.()) {
      await file.chown(before.uid, before.gid).catch(() => {});
    }
    await file.sync();
    await rename(draft, target);
  } catch (error) {
    await unlink(draft);
    throw error;
  } finally {
    await file.close();
  }
  await syncFolder(dirname(target));
}

/** So that a renaming is on the disk, where a system has that. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path).catch(() => null);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

async function status(path: string): Promise<FileStatus | null> {
  try {
    const found = await stat(path, { bigint: true });
    const version = [found.ino, found.size, found.mtimeNs, found.ctimeNs]
      .join(" ");
    return { ...accessOf(found), version, isFolder: found.isDirectory() };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

function accessOf(
  { mode, uid }: {
    readonly mode: number | bigint;
    readonly uid: number | bigint;
  },
): FileAccess {
  if (process.platform === "win32") return { mode: null, owner: null };
  const owner = Number(uid) === process.getuid?.()
    ? "self"
    : Number(uid) === 0
    ? "root"
    : "other";
  return { mode: Number(mode) & 0o7777, owner };
}

async function remove(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

async function openLog(path: string): Promise<LogFile> {
  // A named pipe that nobody reads is to fail, not to wait: Node cannot even end
  // while one of its threads does. Windows has no such thing.
  const { O_APPEND, O_CREAT, O_WRONLY, O_NONBLOCK = 0 } = constants;
  const flags = O_APPEND | O_CREAT | O_WRONLY | O_NONBLOCK;
  const failed = (doing: "open" | "write to") => (error: unknown) => {
    throw logError(doing, path, osError(error));
  };
  const file = await open(path, flags, 0o600).catch(failed("open"));
  return {
    write: async (bytes) => {
      const writing = file.write(bytes).catch(failed("write to"));
      return (await writing).bytesWritten;
    },
    close: () => file.close(),
  };
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return null;
    throw error;
  }
}
