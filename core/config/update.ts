/**
 * Changes of the configuration file: one at a time, whoever else is at it.
 *
 * @module
 */

import { asLimpetError, LimpetError } from "../errors.ts";
import type { Files, Machine } from "../machine.ts";
import { parseDocument } from "./document.ts";
import { withIdentity, withoutIdentity } from "./edit.ts";
import { loadConfig } from "./load.ts";
import { pathText } from "./problem.ts";
import { readConfig } from "./read.ts";
import type { IdentityEntry, ServerConfig } from "./types.ts";

/** How long another program may take to change the file. */
const PATIENCE_MS = 30_000;

type Place = Pick<Machine, "files" | "env">;

/**
 * Adds identities to the file, which is made if there is none. `entries` gets
 * what the file says and decides what to add. Resolves to what was added.
 * Throws `invalid_argument` if the file has mistakes, or would have.
 */
export async function addIdentities(
  place: Place,
  path: string,
  entries: (config: ServerConfig) => Promise<readonly IdentityEntry[]>,
): Promise<readonly IdentityEntry[]> {
  return await exclusively(place, path, async () => {
    const { text, config } = await current(place, path);
    const added = await entries(config);
    const taken = new Set(config.identities?.map(({ name }) => name));
    let changed = text;
    for (const entry of added) {
      if (taken.has(entry.name)) {
        throw new LimpetError(
          "invalid_argument",
          `Cannot add ${entry.name}: ${path} has an identity of that name ` +
            `already; "limpet token revoke ${entry.name}" takes it out`,
        );
      }
      taken.add(entry.name);
      const { root } = await parseDocument(changed);
      changed = withIdentity(changed, root!, entry);
    }
    await replace(place, path, changed);
    return added;
  });
}

/**
 * Takes an identity out of the file. Resolves to what it was. Throws
 * `invalid_argument` if there is none of that name.
 */
export async function removeIdentity(
  place: Place,
  path: string,
  name: string,
): Promise<IdentityEntry> {
  return await exclusively(place, path, async () => {
    const { text, config } = await current(place, path);
    const identities = config.identities ?? [];
    const index = identities.findIndex((each) => each.name === name);
    if (index < 0) {
      const names = identities.map((each) => each.name).join(", ");
      throw new LimpetError(
        "invalid_argument",
        `Cannot revoke ${name}: ${path} has no such identity; there ` +
          (names === "" ? "are none" : `are ${names}`),
      );
    }
    const { root } = await parseDocument(text);
    await replace(place, path, withoutIdentity(text, root!, index));
    return identities[index];
  });
}

async function current(
  place: Place,
  path: string,
): Promise<{ readonly text: string; readonly config: ServerConfig }> {
  const loaded = await loadConfig(place, path) ??
    { text: "{}\n", ...await readConfig("{}") };
  const { text, config } = loaded;
  if (config !== null) return { text, config };
  throw new LimpetError(
    "invalid_argument",
    `Cannot change ${path}, which has mistakes: "limpet config check ${path}" ` +
      "tells them",
  );
}

async function replace(
  { files }: Place,
  path: string,
  text: string,
): Promise<void> {
  const { problems } = await readConfig(text);
  if (problems.length > 0) {
    const [{ path: at, message }] = problems;
    throw new LimpetError(
      "invalid_argument",
      `Cannot change ${path}: ${pathText(at)}: ${message}`,
    );
  }
  await files.replacePrivate(path, text);
}

/** Runs `change` while nobody else does, as far as they all come by here. */
async function exclusively<T>(
  { files }: Place,
  path: string,
  change: () => Promise<T>,
): Promise<T> {
  const lock = `${path}.lock`;
  try {
    await take(files, lock);
    try {
      return await change();
    } finally {
      await files.remove(lock);
    }
  } catch (error) {
    throw asLimpetError(error, "invalid_argument", `Cannot change ${path}`);
  }
}

/** As git does it: a file that only one can make, and nobody breaks by force. */
async function take(files: Files, lock: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  const since = `${new Date().toISOString()}\n`;
  while (!(await files.createPrivate(lock, since))) {
    if (performance.now() > deadline) {
      const text = (await files.read(lock))?.text.trim();
      throw new LimpetError(
        "invalid_argument",
        `Another program has been changing the file since ${text}; if it has ` +
          `died, remove ${lock}`,
      );
    }
    await new Promise((done) => setTimeout(done, 20 + 20 * Math.random()));
  }
}
