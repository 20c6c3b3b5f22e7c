/**
 * An entry of the configuration as one whom the server knows.
 *
 * @module
 */

import type { KnownIdentity } from "../auth/identities.ts";
import { readTime } from "./formats.ts";
import { isFrom, readSource, type Source } from "./source.ts";
import type { IdentityEntry } from "./types.ts";

/** One of those who may connect. */
export class Known implements KnownIdentity {
  #entry: IdentityEntry;
  readonly #sources: readonly Source[] | null;

  constructor(entry: IdentityEntry) {
    this.#entry = entry;
    this.#sources = entry.from?.map(readSource)
      .filter((each): each is Source => each !== null) ?? null;
  }

  /** As the file has it now. */
  get entry(): IdentityEntry {
    return this.#entry;
  }

  get name(): string {
    return this.#entry.name;
  }

  get token(): string | undefined {
    return this.#entry.token;
  }

  get publicKey(): string | undefined {
    return this.#entry.publicKey;
  }

  get graceMs(): number | undefined {
    return this.#entry.graceMs;
  }

  get isOver(): boolean {
    const { expires } = this.#entry;
    return expires !== undefined && Date.now() >= (readTime(expires) ?? 0);
  }

  /** Another time of expiry alone makes nobody another one. */
  prolong(entry: IdentityEntry): void {
    this.#entry = entry;
  }

  /** What of it is another one there, but for its end. */
  changes(there: Known): string[] {
    const parts = (entry: IdentityEntry) =>
      new Map(
        Object.entries({ ...entry, expires: undefined })
          .map(([key, value]) => [key, textOf(value)]),
      );
    const [before, now] = [parts(this.#entry), parts(there.entry)];
    const keys = new Set([...before.keys(), ...now.keys()]);
    return [...keys].filter((key) => before.get(key) !== now.get(key));
  }

  readonly refuse = (peer: string): string | null => {
    if (this.isOver) return `it has expired, at ${this.#entry.expires}`;
    return this.#sources === null || isFrom(peer, this.#sources)
      ? null
      : `it may not come from ${peer}`;
  };
}

/** Everybody in a configuration that is to be taken over. */
export interface Comers {
  readonly known: readonly Known[];
  /**
   * From now on those who are there as before have the end that the file gives
   * them. For when nothing can go wrong any more: until then the old one counts.
   */
  readonly takeOver: () => void;
}

/**
 * Everybody in the configuration. Who is there as before stays the same object,
 * so that their sessions can be told from those of others.
 */
export function comersOf(
  entries: readonly IdentityEntry[],
  before: Iterable<Known>,
): Comers {
  const keyOf = (entry: IdentityEntry) =>
    textOf({ ...entry, expires: undefined });
  const same = new Map([...before].map((each) => [keyOf(each.entry), each]));
  const known = entries.map((entry) =>
    same.get(keyOf(entry)) ?? new Known(entry)
  );
  return {
    known,
    takeOver: () => known.forEach((each, i) => each.prolong(entries[i])),
  };
}

/** The same for what says the same: JSON's keys have no order. */
function textOf(value: unknown): string {
  const sorted = (_: string, part: unknown) =>
    part === null || typeof part !== "object" || Array.isArray(part)
      ? part
      : Object.fromEntries(Object.entries(part).sort(byKey));
  return JSON.stringify(value, sorted) ?? "";
}

function byKey([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1;
}
