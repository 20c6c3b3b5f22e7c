/**
 * Reading a command line by a table, which also prints the help. Stricter than
 * the parsers at hand: nothing unknown passes, a value is never guessed, and a
 * flag can be known and refused.
 *
 * @module
 */

import { readDuration } from "../duration.ts";
import { LimpetError } from "../errors.ts";
import { nearest } from "../nearest.ts";

/** One flag. */
export interface Flag {
  /** `timeout` for `--timeout`. */
  readonly name: string;
  /** `t` for `-t`. */
  readonly short?: string;
  /** What its value is called in the help; a flag without takes none. */
  readonly value?: string;
  /** May be given more than once. */
  readonly many?: true;
  /** One line for the help. */
  readonly help: string;
  /** Why it is refused, for flags that this version does not have yet. */
  readonly refused?: string;
}

/** What was on the command line. */
export class Arguments {
  readonly #values: Map<string, string[]>;
  /** What is no flag, up to `--`. */
  readonly positionals: readonly string[];
  /** What follows `--`; null without one. */
  readonly rest: readonly string[] | null;

  constructor(
    values: Map<string, string[]>,
    positionals: readonly string[],
    rest: readonly string[] | null,
  ) {
    this.#values = values;
    this.positionals = positionals;
    this.rest = rest;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  value(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

/** A mistake on the command line; the program answers it with 125. */
export function usageError(message: string): LimpetError {
  return new LimpetError("invalid_argument", message);
}

/** Reads `args` by `flags`. Throws `invalid_argument` for what does not fit. */
export function parseArguments(
  args: readonly string[],
  flags: readonly Flag[],
): Arguments {
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  const set = (flag: Flag, shown: string, value: string) => {
    if (flag.refused !== undefined) {
      throw new LimpetError("unsupported", `${shown}: ${flag.refused}`);
    }
    const before = values.get(flag.name);
    if (before !== undefined && flag.value !== undefined && !flag.many) {
      throw usageError(`${shown} is given twice`);
    }
    values.set(flag.name, [...before ?? [], value]);
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    const valueOf = (flag: Flag, shown: string) => {
      if (flag.value === undefined) return "";
      const next = args[++i];
      if (next === undefined || next === "--") {
        throw usageError(`${shown} needs a value: ${shown} ${flag.value}`);
      }
      return next;
    };
    if (arg === "--") {
      return new Arguments(values, positionals, args.slice(i + 1));
    }
    if (arg.startsWith("--")) {
      const [, name, , given] = /^--([^=]*)(=(.*))?$/s.exec(arg)!;
      const flag = flags.find((each) => each.name === name);
      if (flag === undefined) throw unknown(`--${name}`, flags);
      if (given !== undefined && flag.value === undefined) {
        throw usageError(`--${name} takes no value, and was given "${given}"`);
      }
      set(flag, `--${name}`, given ?? valueOf(flag, `--${name}`));
    } else if (arg.startsWith("-") && arg !== "-") {
      readShort(arg, flags, set, valueOf);
    } else {
      positionals.push(arg);
    }
  }
  return new Arguments(values, positionals, null);
}

/** `-iq`, `-w/srv`, `-w /srv`. */
function readShort(
  arg: string,
  flags: readonly Flag[],
  set: (flag: Flag, shown: string, value: string) => void,
  valueOf: (flag: Flag, shown: string) => string,
): void {
  for (let at = 1; at < arg.length; at++) {
    const shown = `-${arg[at]}`;
    const flag = flags.find((each) => each.short === arg[at]);
    if (flag === undefined) throw unknown(shown, flags);
    const attached = arg.slice(at + 1);
    if (flag.value !== undefined && attached !== "") {
      return set(flag, shown, attached);
    }
    set(flag, shown, valueOf(flag, shown));
  }
}

function unknown(shown: string, flags: readonly Flag[]): LimpetError {
  const names = flags.filter((flag) => flag.refused === undefined)
    .map((flag) => `--${flag.name}`);
  const [near] = nearest(shown, names);
  const hint = near === undefined ? "" : `. Did you mean ${near}?`;
  return usageError(`There is no flag ${shown}${hint}`);
}

/** `30s`, `500ms`, `2m`, `1h`, `1.5s`, as milliseconds. */
export function parseDuration(text: string, flag: string): number {
  const ms = readDuration(text);
  if (ms !== null) return ms;
  throw usageError(
    `${flag} ${text} is no time: write 500ms, 30s, 2m or 1h, 24 days at most`,
  );
}

/** The same, and more than none: how long to wait for something. */
export function parseWait(text: string, flag: string): number {
  const ms = parseDuration(text, flag);
  if (ms > 0) return ms;
  throw usageError(`${flag} ${text} leaves no time to wait`);
}

/** A whole number of at least 1. */
export function parseCount(text: string, flag: string): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (count >= 1) return count;
  throw usageError(`${flag} ${text} is no whole number above 0`);
}
