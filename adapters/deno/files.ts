/**
 * The few files Limpet touches by itself.
 *
 * Permissions: `--allow-read` of the token file and of the configuration file; to
 * make or change them, `--allow-read` and `--allow-write` of their folder. To see
 * whose the configuration file is, `--allow-sys=uid`. To
 * keep an audit log, `--allow-write` of it.
 *
 * @module
 */

import type {
  FileAccess,
  FileContents,
  Files,
  FileStatus,
} from "../../core/machine.ts";
import { inWords, logError } from "../../core/adapter/os_error.ts";
import type { LogFile } from "../../core/ports.ts";
import { osError } from "./errors.ts";

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
    using file = await Deno.open(path);
    // Of the open file, so that they and the text belong together.
    const access = accessOf(await file.stat());
    return { ...access, text: await textOf(file) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Not by a `Response`: Deno takes 3 ms to load what that is made of. */
async function textOf(file: Deno.FsFile): Promise<string> {
  const block = new Uint8Array(8_192);
  const decoder = new TextDecoder();
  let text = "";
  for (let count; (count = await file.read(block)) !== null;) {
    text += decoder.decode(block.subarray(0, count), { stream: true });
  }
  return text + decoder.decode();
}

async function createPrivate(path: string, text: string): Promise<boolean> {
  const folder = folderOf(path);
  if (folder !== "") {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  }
  // Whole under another name first, then there at once: a link, unlike a
  // renaming, fails if the name is taken.
  const draft = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(draft, text, { createNew: true, mode: 0o600 });
  try {
    await Deno.link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  } finally {
    await Deno.remove(draft);
  }
}

async function replacePrivate(path: string, text: string): Promise<void> {
  const target = await Deno.realPath(path).catch(() => path);
  const before = await Deno.stat(target).catch(() => null);
  const draft = `${target}.${crypto.randomUUID()}`;
  const open = { write: true, createNew: true, mode: 0o600 };
  const file = await Deno.open(draft, open);
  try {
    const bytes = new TextEncoder().encode(text);
    for (let rest = bytes; rest.byteLength > 0;) {
      rest = rest.subarray(await file.write(rest));
    }
    // Root may write the file of the user whom the server runs as.
    if (before !== null && before.uid !== ownUid()) {
      await Deno.chown(draft, before.uid, before.gid).catch(() => {});
    }
    await file.sync();
    await Deno.rename(draft, target);
  } catch (error) {
    await Deno.remove(draft);
    throw error;
  } finally {
    file.close();
  }
  await syncFolder(folderOf(target) || ".");
}

/** So that a renaming is on the disk, where a system has that. */
async function syncFolder(path: string): Promise<void> {
  const folder = await Deno.open(path).catch(() => null);
  await folder?.sync().catch(() => {});
  folder?.close();
}

async function status(path: string): Promise<FileStatus | null> {
  try {
    const found = await Deno.stat(path);
    const { ino, size, mtime, ctime, isDirectory: isFolder } = found;
    const version = [ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");
    return { ...accessOf(found), version, isFolder };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function accessOf({ mode, uid }: Deno.FileInfo): FileAccess {
  const own = ownUid();
  const owner = uid === 0 && own !== 0
    ? "root"
    : uid === null || own === null
    ? null
    : uid === own
    ? "self"
    : "other";
  return { mode: mode === null ? null : mode & 0o7777, owner };
}

async function remove(path: string): Promise<boolean> {
  try {
    await Deno.remove(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Null where we may not know who we are. */
function ownUid(): number | null {
  try {
    return Deno.uid();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return null;
    throw error;
  }
}

/** The folder that a path is in; nothing for a bare name. */
function folderOf(path: string): string {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return path.slice(0, Math.max(at, 0));
}

async function openLog(path: string): Promise<LogFile> {
  const options = { append: true, create: true, mode: 0o600 };
  const failed = (doing: "open" | "write to") => (error: unknown) => {
    throw logError(doing, path, osError(error));
  };
  const file = await Deno.open(path, options).catch(failed("open"));
  return {
    write: (bytes) => file.write(bytes).catch(failed("write to")),
    close: () => Promise.resolve(file.close()),
  };
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}
