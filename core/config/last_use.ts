/**
 * When each identity connected last: kept in a file beside the configuration.
 *
 * @module
 */

import type { Files } from "../machine.ts";
import { readTime } from "./formats.ts";

/** How long uses are collected before they are written, in ms. */
const DELAY_MS = 5_000;

/** When and from where an identity connected. */
export interface Use {
  /** RFC 3339, in UTC. */
  readonly at: string;
  /** The peer's address without its port, `unix` or `stdio`. */
  readonly from: string;
}

/** `server.state.json` for `server.json`. */
export function statePath(configPath: string): string {
  return `${configPath.replace(/\.json$/, "")}.state.json`;
}

/** The last uses that are on record; none if there is no record. */
export async function readLastUses(
  files: Pick<Files, "read">,
  configPath: string,
): Promise<Map<string, Use>> {
  const found = await files.read(statePath(configPath));
  try {
    const { lastUse } = JSON.parse(found?.text ?? "{}");
    return new Map(
      Object.entries(lastUse ?? {}).filter((each): each is [string, Use] => {
        const { at, from } = each[1] as Use;
        return readTime(at) !== null && typeof from === "string";
      }),
    );
  } catch {
    // Whatever it was, it is no record.
    return new Map();
  }
}

/** Collects uses, and writes them down now and then. */
export class LastUses {
  readonly #files: Files;
  readonly #configPath: string;
  readonly #known: () => readonly string[];
  readonly #warn: (message: string) => void;
  readonly #fresh = new Map<string, Use>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #writing: Promise<void> = Promise.resolve();
  #warned = false;

  /**
   * `known`: the identities there are; of others nothing is kept. `warn` is told
   * once if the record cannot be written.
   */
  constructor(
    files: Files,
    configPath: string,
    known: () => readonly string[],
    warn: (message: string) => void,
  ) {
    this.#files = files;
    this.#configPath = configPath;
    this.#known = known;
    this.#warn = warn;
  }

  /** It has connected, now, from `127.0.0.1:40312`, `unix` or `stdio`. */
  record(name: string, peer: string): void {
    const from = peer.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    this.#fresh.set(name, { at: new Date().toISOString(), from });
    this.#timer ??= setTimeout(() => void this.flush(), DELAY_MS);
  }

  /** Writes what there is to write, and settles when it is written. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#fresh.size === 0) return;
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    try {
      // Another server may use the same configuration.
      const uses = await readLastUses(this.#files, this.#configPath);
      for (const [name, use] of fresh) {
        const before = uses.get(name);
        if (before === undefined || before.at < use.at) uses.set(name, use);
      }
      const known = this.#known();
      const kept = [...uses].filter(([name]) => known.includes(name));
      const text = JSON.stringify({ lastUse: Object.fromEntries(kept) });
      const path = statePath(this.#configPath);
      await this.#files.replacePrivate(path, `${text}\n`);
    } catch (error) {
      if (this.#warned) return;
      this.#warned = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#warn(
        `cannot write down who connected when: ${
          statePath(this.#configPath)
        }: ${why}`,
      );
    }
  }
}
