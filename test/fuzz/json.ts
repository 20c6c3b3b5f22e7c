/**
 * JSON as no serialiser writes it: hostile values, keys twice, keys of the
 * prototype, numbers that are none.
 *
 * @module
 */

import type { Prng } from "./prng.ts";

const LONG = 3_000;

/** Texts that stand where a value is due; not all of them are JSON. */
const VALUES: readonly string[] = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "-1",
  "1.0",
  "0.5",
  "1e999",
  "-1e999",
  "1e21",
  "2147483648",
  "4294967296",
  "9007199254740991",
  "9007199254740993",
  "NaN",
  "Infinity",
  "undefined",
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  // Escape sequences, escaped and raw, in C0, C1 and as bidirectional marks.
  '"\\u001b[2J\\u0007"',
  '"\u009b31m\u0085\u007f"',
  '"\\u202eabc\\u2066"',
  '"\\u001b]0;title\\u0007\\r\\n"',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '"SIGKILL"',
  '"utf-8"',
  '"gbk"',
  '"utf-16le"',
  '"unauthenticated"',
  '"closed"',
  "[]",
  "{}",
  "[null]",
  '["__proto__"]',
  '["a\\u001b[0m","\u009b"]',
  '{"__proto__":{"polluted":"yes"}}',
  '{"constructor":{"prototype":{"polluted":"yes"}}}',
  '{"A=B":"c"}',
  '{"":"c"}',
  '{"\\u001b[1m":"\\u0000"}',
  '{"toString":"x","__proto__":"y"}',
];

/** Fields that stand nowhere in the protocol, or everywhere. */
const KEYS: readonly string[] = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "kind",
  "code",
  "message",
  "reason",
  "signal",
  "bytes",
  "limits",
  "version",
  "\u001b[31m",
];

/** A value that is hostile in one way. */
export function hostileValue(rng: Prng): string {
  switch (rng.below(12)) {
    case 0:
      return `"${rng.pick(["x", "\u009b", "\\u001b", "😀"]).repeat(LONG)}"`;
    case 1: {
      // Deep enough for a parser that recurses.
      const depth = rng.pick([50, 1_000, 7_000]);
      return rng.oneIn(2)
        ? "[".repeat(depth) + "]".repeat(depth)
        : '{"a":'.repeat(depth) + "1" + "}".repeat(depth);
    }
    case 2:
      return String(rng.next());
    default:
      return rng.pick(VALUES);
  }
}

/** The JSON text of a control payload with some of it replaced or added. */
export function mutateJson(text: string, rng: Prng): string {
  try {
    const value: unknown = JSON.parse(text);
    return new Rewriter(rng, rng.below(countNodes(value))).write(value);
  } catch {
    // No JSON, or nested too deeply for us.
    return hostileValue(rng);
  }
}

function countNodes(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce(
    (sum: number, each) => sum + countNodes(each),
    1,
  );
}

/** Writes a value out; at one of its nodes it does something else. */
class Rewriter {
  readonly #rng: Prng;
  #left: number;

  constructor(rng: Prng, at: number) {
    this.#rng = rng;
    this.#left = at;
  }

  write(value: unknown): string {
    const here = this.#left-- === 0;
    if (Array.isArray(value)) {
      const items = value.map((each) => this.write(each));
      return here ? this.#list(items) : `[${items}]`;
    }
    if (typeof value === "object" && value !== null) {
      const fields = Object.entries(value).map(([key, each]) =>
        `${JSON.stringify(key)}:${this.write(each)}`
      );
      return here ? this.#object(fields) : `{${fields}}`;
    }
    return here ? hostileValue(this.#rng) : JSON.stringify(value);
  }

  #list(items: string[]): string {
    switch (this.#rng.below(3)) {
      case 0:
        return hostileValue(this.#rng);
      case 1:
        return "[]";
      default:
        return `[${[...items, hostileValue(this.#rng)]}]`;
    }
  }

  #object(fields: string[]): string {
    const rng = this.#rng;
    const added = `${JSON.stringify(rng.pick(KEYS))}:${hostileValue(rng)}`;
    switch (rng.below(6)) {
      case 0:
        return hostileValue(rng);
      case 1:
        // A field less.
        return `{${fields.filter((_, i) => i !== rng.below(fields.length))}}`;
      case 2:
        // A key twice.
        return `{${[...fields, ...fields.slice(rng.below(fields.length))]}}`;
      case 3:
        return `{${[added, ...fields]}}`;
      default:
        return `{${[...fields, added]}}`;
    }
  }
}
