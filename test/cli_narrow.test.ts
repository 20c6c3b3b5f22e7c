import { expect, test } from "vitest";
import { helpText, TOPICS } from "../core/cli/help.ts";
import { narrowed } from "../core/cli/help/narrow.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { Terminal, useTerminals } from "./support/terminal.ts";

useTerminals();

const wordsOf = (text: string) => text.split(/\s+/);

test.each([undefined, ...TOPICS])("help %s where it is narrow", (topic) => {
  const text = helpText(topic)!;
  expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  for (const columns of [null, 0, 80, 140]) {
    expect(narrowed(text, columns)).toBe(text);
  }
  for (const columns of [50, 60]) {
    const narrow = narrowed(text, columns);
    expect(wordsOf(narrow)).toEqual(wordsOf(text));
    const asItWas = new Set(text.split("\n"));
    for (const line of narrow.split("\n")) {
      // An example, or one word that is longer.
      if (line.length > columns && !asItWas.has(line)) {
        expect(wordsOf(line.trim())).toHaveLength(1);
      }
    }
  }
});

test("a line goes on below where it began, a paragraph is broken anew", () => {
  const text = `Usage: limpet x [FLAGS]

One two three four five six seven eight
nine ten.

Flags:
  -w, --workdir DIR  Run in DIR and stay there
                     for good
      --merge        Send all of it

Examples:
  limpet x --workdir /a/rather/long/path
`;
  expect(narrowed(text, 33)).toBe(`Usage: limpet x [FLAGS]

One two three four five six seven
eight nine ten.

Flags:
  -w, --workdir DIR  Run in DIR
      and stay there for good
      --merge  Send all of it

Examples:
  limpet x --workdir /a/rather/long/path
`);
  expect(narrowed(text, 43)).toContain(`
One two three four five six seven eight
nine ten.

Flags:
  -w, --workdir DIR  Run in DIR and stay
                     there for good
      --merge        Send all of it
`);
});

test(`help in a narrow terminal on ${THIS_RUNTIME}`, async () => {
  const terminal = new Terminal(["help", "demo"], 60);
  // Lines that the terminal itself has broken are one to us.
  await terminal.shows(/left with 0$/);
  const lines = terminal.screen().split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(61);
  expect(lines).toContain(
    "own, and a prompt that talks to it over the socket. Both end",
  );
  terminal.close();
});
