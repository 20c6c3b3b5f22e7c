import { describe, expect, test } from "vitest";
import { parseDocument } from "../core/config/document.ts";
import { withIdentity, withoutIdentity } from "../core/config/edit.ts";
import { readExpiry } from "../core/config/expiry.ts";
import { readConfig } from "../core/config/read.ts";
import type { IdentityEntry } from "../core/config/types.ts";

const entry = (name: string): IdentityEntry => ({
  name,
  token: `the-token-of-${name}-here`,
});
const line = (name: string) =>
  `{ "name": "${name}", "token": "the-token-of-${name}-here" }`;

async function added(text: string, name = "new"): Promise<string> {
  const { root } = await parseDocument(text);
  return withIdentity(text, root!, entry(name));
}

async function removed(text: string, index: number): Promise<string> {
  const { root } = await parseDocument(text);
  return withoutIdentity(text, root!, index);
}

async function namesIn(text: string): Promise<string[]> {
  const { config } = await readConfig(text);
  if (config === null) throw new Error(`Not right any more: ${text}`);
  return (config.identities ?? []).map(({ name }) => name);
}

/** The same two identities, laid out as people do. */
const LAYOUTS = [
  `{"identities":[${line("a")},${line("b")}]}`,
  `{ "identities": [${line("a")}, ${line("b")}], "limits": {} }\n`,
  `{\n  "identities": [\n    ${line("a")},\n    ${line("b")}\n  ]\n}\n`,
  `{\r\n\t"identities": [\r\n\t\t${line("a")},\r\n\t\t${
    line("b")
  }\r\n\t],\r\n\t"limits": { }\r\n}\r\n`,
  `{\n  "limits": {},\n  "identities": [\n    ${line("a")}\n  , ${
    line("b")
  }\n  ]\n}`,
  `{"identities":\n[\n${line("a")},\n\n\n${line("b")}]\n}\n`,
];

describe("adding", () => {
  test.each([
    ["{}\n", `{\n  "identities": [\n    ${line("new")}\n  ]\n}\n`],
    ['{"identities": []}', `{"identities": [\n  ${line("new")}\n]}`],
    [
      '{\n  "limits": {}\n}\n',
      `{\n  "limits": {},\n  "identities": [\n    ${line("new")}\n  ]\n}\n`,
    ],
    [
      '{\n    "identities": [ ],\n    "limits": {}\n}\n',
      `{\n    "identities": [\n      ${line("new")}\n    ],\n    ` +
      '"limits": {}\n}\n',
    ],
    [
      LAYOUTS[1],
      `{ "identities": [${line("a")}, ${line("b")}, ${line("new")}], ` +
      `"limits": {} }\n`,
    ],
    [
      LAYOUTS[2],
      `{\n  "identities": [\n    ${line("a")},\n    ${line("b")},\n    ${
        line("new")
      }\n  ]\n}\n`,
    ],
  ])("to %j", async (before, after) => {
    expect(await added(before)).toBe(after);
    expect(await namesIn(after)).toContain("new");
  });

  test("and taking out again leaves every byte of any layout", async () => {
    for (const layout of LAYOUTS) {
      const more = await added(layout);
      expect(await namesIn(more)).toEqual(["a", "b", "new"]);
      expect(more.includes("\r\n")).toBe(layout.includes("\r\n"));
      expect(await removed(more, 2)).toBe(layout);
    }
  });
});

test("taking out any of them, until none is left and nobody may come", async () => {
  for (const layout of LAYOUTS) {
    expect(await namesIn(await removed(layout, 0))).toEqual(["b"]);
    expect(await namesIn(await removed(layout, 1))).toEqual(["a"]);
    const none = await removed(await removed(layout, 1), 0);
    expect((await readConfig(none)).config?.identities).toEqual([]);
    expect(await namesIn(await added(none))).toEqual(["new"]);
  }
});

test("when something ends", () => {
  const now = Date.parse("2026-03-01T12:00:00.500Z");
  for (
    const [text, expected] of [
      ["90s", "2026-03-01T12:01:30Z"],
      ["90m", "2026-03-01T13:30:00Z"],
      ["12h", "2026-03-02T00:00:00Z"],
      ["30d", "2026-03-31T12:00:00Z"],
      ["2w", "2026-03-15T12:00:00Z"],
      ["2026-03-02", "2026-03-02T00:00:00Z"],
      ["2026-03-01T21:00:00+08:00", "2026-03-01T13:00:00Z"],
      ["0d", "is over already"],
      ["2026-03-01", "is over already"],
      ["2026-02-30", "is neither a span of time nor a date"],
      ["1y", "is neither a span of time nor a date"],
      ["30", "is neither a span of time nor a date"],
      ["-1d", "is neither a span of time nor a date"],
      ["999999w", "is after the year 9999"],
      ["tomorrow", "is neither a span of time nor a date"],
    ] as const
  ) {
    const { at, why } = readExpiry(text, now);
    expect(at ?? why, text).toBe(expected);
  }
});
