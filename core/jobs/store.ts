/**
 * The folder of a server's jobs.
 *
 *     FOLDER/.lock.1
 *     FOLDER/NAME.KEY/JOB/record.json
 *     FOLDER/NAME.KEY/JOB/stdout.OFFSET
 *
 * NAME is that of an identity, KEY what it was proved with: see `Owner`.
 *
 * @module
 */

import { utf8 } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import type { FolderEntry, JobFiles } from "../ports.ts";
import { printable } from "../printable.ts";
import { takeLock } from "./lock.ts";
import type { Owner } from "./owner.ts";
import {
  decodeRecord,
  encodeRecord,
  type JobRecord,
  MAX_RECORD_BYTES,
} from "./record.ts";

/** Servers that may have the same folder named for them. */
const MAX_NEIGHBOURS = 99;

/** Longest name of a folder that all file systems take, in bytes. */
const MAX_NAME_BYTES = 200;

/** A job as it was found. */
export interface StoredJob {
  readonly record: JobRecord;
  readonly entries: readonly FolderEntry[];
}

/** See the module's description. */
export class JobStore {
  readonly files: JobFiles;
  readonly #folder: string;
  readonly #lock: string;

  private constructor(files: JobFiles, folder: string, lock: string) {
    this.files = files;
    this.#folder = folder;
    this.#lock = lock;
  }

  /**
   * Takes the folder for this server alone. If another one has it that runs, the
   * folder is `folder.2`, and so on. Rejects with the OS's error.
   */
  static async open(files: JobFiles, folder: string): Promise<JobStore> {
    for (let i = 1; i <= MAX_NEIGHBOURS; i++) {
      const own = i === 1 ? folder : `${folder}.${i}`;
      await files.makeFolder(own);
      const lock = await takeLock(files, own);
      if (lock !== null) return new JobStore(files, own, lock);
    }
    throw new LimpetError(
      "resource_exhausted",
      `${MAX_NEIGHBOURS} servers have their jobs in ${folder} already`,
    );
  }

  /** What was left there. Tells `problem` of each that cannot be read. */
  async load(problem: (message: string) => void): Promise<StoredJob[]> {
    const { files } = this;
    const found: StoredJob[] = [];
    for (const identity of await files.list(this.#folder)) {
      if (identity.bytes !== null) continue;
      const owned = `${this.#folder}/${identity.name}`;
      for (const { name, bytes } of await files.list(owned)) {
        if (bytes !== null) continue;
        const path = `${owned}/${name}`;
        try {
          found.push(await this.#read(path));
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          problem(`Cannot read the job in ${printable(path)}: ${why}`);
        }
      }
    }
    return found;
  }

  /** Where a job's files are. Throws `invalid_argument` for too long a name. */
  folderOf({ name, key }: Owner, id: string): string {
    const own = key === null ? "" : `.${fileName(key)}`;
    return `${this.#folder}/${fileName(name)}${own}/${fileName(id)}`;
  }

  /** Writes a job's record down: all of it or nothing. */
  async write(record: JobRecord): Promise<void> {
    const folder = this.folderOf(ownerIn(record), record.id);
    await this.files.makeFolder(folder);
    await this.files.replace(`${folder}/record.json`, encodeRecord(record));
  }

  /** Removes all there is of a job. */
  async remove(owner: Owner, id: string): Promise<void> {
    await this.files.remove(this.folderOf(owner, id));
  }

  /** Another server may have the folder from now on. */
  async close(): Promise<void> {
    await this.files.remove(this.#lock);
  }

  async #read(path: string): Promise<StoredJob> {
    const entries = await this.files.list(path);
    const file = entries.find(({ name }) => name === "record.json");
    if ((file?.bytes ?? Infinity) > MAX_RECORD_BYTES) {
      throw new LimpetError(
        "invalid_argument",
        file === undefined ? "it has no record.json" : "its record is too long",
      );
    }
    const record = decodeRecord(
      await this.files.read(`${path}/record.json`) ?? "",
    );
    // Moved by hand, it would be somebody else's.
    if (this.folderOf(ownerIn(record), record.id) !== path) {
      throw new LimpetError(
        "invalid_argument",
        "its record is that of another job",
      );
    }
    return { record, entries };
  }
}

function ownerIn({ identity, key }: JobRecord): Owner {
  return { name: identity, key };
}

/**
 * A name that is the same for the same text alone, on file systems too that do
 * not tell `A` from `a`, and that leads nowhere else.
 */
export function fileName(text: string): string {
  const name = Array.from(utf8(text), (byte) => {
    const char = String.fromCharCode(byte);
    return /[a-z0-9_-]/.test(char)
      ? char
      : `+${byte.toString(16).padStart(2, "0")}`;
  }).join("");
  if (name !== "" && name.length <= MAX_NAME_BYTES) return name;
  throw new LimpetError(
    "invalid_argument",
    `${printable(JSON.stringify(text.slice(0, 80)))} cannot be the name of a ` +
      "folder of jobs",
  );
}
