/**
 * A folder of jobs in memory.
 *
 * @module
 */

import type { FolderEntry, JobFiles } from "../../core/ports.ts";
import { concat } from "./bytes.ts";

/** See the module's description. `files` are all that there are. */
export function memoryFiles(): JobFiles & {
  readonly files: ReadonlyMap<string, Uint8Array>;
} {
  const files = new Map<string, Uint8Array>();
  const folders = new Set<string>();
  const encode = (text: string) => new TextEncoder().encode(text);
  const entriesOf = (path: string): FolderEntry[] => {
    const found = new Map<string, number | null>();
    for (const name of [...folders, ...files.keys()]) {
      if (!name.startsWith(`${path}/`)) continue;
      const [own, ...rest] = name.slice(path.length + 1).split("/");
      const bytes = rest.length > 0
        ? null
        : files.get(name)?.byteLength ?? null;
      found.set(own, bytes);
    }
    return [...found].map(([name, bytes]) => ({ name, bytes }));
  };
  return {
    files,
    makeFolder: async (path) => {
      await null;
      folders.add(path);
    },
    list: async (path) => {
      await null;
      return entriesOf(path);
    },
    read: async (path) => {
      await null;
      const bytes = files.get(path);
      return bytes === undefined ? null : new TextDecoder().decode(bytes);
    },
    create: async (path, text) => {
      await null;
      if (files.has(path)) return false;
      files.set(path, encode(text));
      return true;
    },
    replace: async (path, text) => {
      await null;
      files.set(path, encode(text));
    },
    remove: async (path) => {
      await null;
      for (const names of [files, folders]) {
        for (const name of names.keys()) {
          if (name === path || name.startsWith(`${path}/`)) names.delete(name);
        }
      }
    },
    append: async (path) => {
      await null;
      if (!files.has(path)) files.set(path, new Uint8Array(0));
      return {
        write: async (bytes) => {
          await null;
          // One that was removed is written to all the same, as on a disk.
          const before = files.get(path);
          if (before !== undefined) files.set(path, concat([before, bytes]));
          return bytes.byteLength;
        },
        close: () => Promise.resolve(),
      };
    },
    readAt: async (path, position, length) => {
      await null;
      const bytes = files.get(path);
      return bytes?.slice(position, position + length) ?? null;
    },
    ownMark: () => "us",
    isRunning: (mark) => mark === "us",
  };
}
