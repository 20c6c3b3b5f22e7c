/**
 * The few files Limpet touches by itself.
 *
 * @module
 */

import { link, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import type { FileContents, Files } from "../../core/machine.ts";
import { codeOf } from "./errors.ts";

/** See {@linkcode Files}. */
export const files: Files = { read, createPrivate };

async function read(path: string): Promise<FileContents | null> {
  try {
    const file = await open(path);
    try {
      // Of the open file, so that mode and text belong together.
      const { mode } = await file.stat();
      return {
        text: await file.readFile("utf8"),
        mode: process.platform === "win32" ? null : mode & 0o7777,
      };
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
