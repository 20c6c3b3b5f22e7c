/**
 * A peer's words, made safe to show.
 *
 * @module
 */

// deno-lint-ignore no-control-regex -- control characters are what it is about
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/**
 * A peer's words, safe to print: control characters, which could move a
 * terminal's cursor or rewrite what stands there, become visible escapes.
 */
export function printable(text: string): string {
  return text.replace(CONTROL, (char) => {
    const hex = char.charCodeAt(0).toString(16).padStart(2, "0");
    return hex.length === 2 ? `\\x${hex}` : `\\u{${hex}}`;
  });
}

/** What JSON may have as it is, and a terminal may obey: C1, and all of bidi. */
const OBEYED = /[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * A value in one line of JSON, with escapes for what a terminal would obey:
 * whoever parses it gets the same, whoever looks at it sees what is there.
 */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    OBEYED,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
