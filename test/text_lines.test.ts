import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeLines, MAX_LINE_LENGTH } from "../core/text/mod.ts";

function streamOf(pieces: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) {
        controller.enqueue(new TextEncoder().encode(piece));
      }
      controller.close();
    },
  });
}

async function linesOf(...pieces: string[]): Promise<string[]> {
  const reader = decodeLines(streamOf(pieces)).getReader();
  const lines: string[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return lines;
    lines.push(value);
  }
}

test.each<[string, string[]]>([
  ["", []],
  ["one", ["one"]],
  ["one\n", ["one"]],
  ["\n", [""]],
  ["one\r\ntwo\n", ["one", "two"]],
  ["a\n\r\n\nb", ["a", "", "", "b"]],
  ["a\rb\r\r\nc\r", ["a\rb\r", "c\r"]],
])("%j, cut anywhere", async (text, lines) => {
  expect(await linesOf(text)).toEqual(lines);
  expect(await linesOf(...text)).toEqual(lines);
  for (let at = 0; at <= text.length; at++) {
    expect(await linesOf(text.slice(0, at), text.slice(at))).toEqual(lines);
  }
});

test("any text in any pieces has the lines that it has whole", async () => {
  const piece = fc.string({ unit: fc.constantFrom("a", "é", "\n", "\r") });
  await fc.assert(
    fc.asyncProperty(fc.array(piece), async (pieces) => {
      const expected = pieces.join("").split("\n");
      if (expected.at(-1) === "") expected.pop();
      const ended = pieces.join("").endsWith("\n");
      const last = expected.length - 1;
      expect(await linesOf(...pieces)).toEqual(
        // Only before an end of a line is \r a part of it.
        expected.map((line, i) =>
          i < last || ended ? line.replace(/\r$/, "") : line
        ),
      );
    }),
  );
});

test("a line is as long as is allowed, and no longer", async () => {
  const long = "x".repeat(MAX_LINE_LENGTH);
  const half = MAX_LINE_LENGTH / 2;
  const pieces = ["a\n", long.slice(half), long.slice(half), "\nb"];
  expect(await linesOf(...pieces)).toEqual(["a", long, "b"]);
  await expect(linesOf(long, "x")).rejects.toMatchObject({
    code: "limit_exceeded",
    message: "A line is longer than 1048576 characters",
  });
});
