/**
 * The few files Limpet touches by itself.
 *
 * Permissions: `--allow-read` of the token file; to make it, `--allow-read` and
 * `--allow-write` of its folder.
 *
 * @module
 */

import type { FileContents, Files } from "../../core/machine.ts";

/** See {@linkcode Files}. */
export const files: Files = { read, createPrivate };

async function read(path: string): Promise<FileContents | null> {
  try {
    using file = await Deno.open(path);
    // Of the open file, so that mode and text belong together.
    const { mode } = await file.stat();
    return {
      text: await new Response(file.readable).text(),
      mode: mode === null ? null : mode & 0o7777,
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function createPrivate(path: string, text: string): Promise<boolean> {
  const folder = path.replace(/[/\\][^/\\]*$/, "");
  if (folder !== path && folder !== "") {
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
