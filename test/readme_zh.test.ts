import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./support/runtimes.ts";

const EN = readFileSync(join(ROOT, "README.md"), "utf8");
const ZH = readFileSync(join(ROOT, "README.zh-CN.md"), "utf8");

interface Block {
  readonly language: string;
  /** Without what a comment says, and the room before it. */
  readonly lines: readonly string[];
}

function blocksOf(page: string): Block[] {
  return Array.from(
    page.matchAll(/^```(\w*)\n(.*?)^```/gms),
    ([, language, body]) => ({
      language,
      lines: body.trim().split("\n").map((line) =>
        line.replace(language === "ts" ? /\s*\/\/.*$/ : /\s+# .*$/, "")
      ),
    }),
  );
}

/** Outside of blocks: `commands`, names and values, each once, sorted. */
function codeOf(page: string): string[] {
  const prose = page.replace(/^```.*?^```/gms, "");
  const spans = Array.from(prose.matchAll(/`([^`]+)`/g), ([, span]) => span);
  return [...new Set(spans.map((span) => span.replace(/\s+/g, " ")))].sort();
}

function linksOf(page: string): string[] {
  return Array.from(page.matchAll(/\]\(([^)#]+)\)/g), ([, path]) => path);
}

function levelsOf(page: string): string[] {
  const prose = page.replace(/^```.*?^```/gms, "");
  return Array.from(prose.matchAll(/^(#+) /gm), ([, level]) => level);
}

function itemsOf(page: string): number {
  return page.match(/^- /gm)?.length ?? 0;
}

describe("the README in Chinese says what the one in English says:", () => {
  test("the same code blocks, whatever their comments say", () => {
    expect(blocksOf(ZH)).toEqual(blocksOf(EN));
    expect(blocksOf(EN).length).toBeGreaterThan(3);
  });

  test("the same commands and names in the text", () => {
    expect(codeOf(ZH)).toEqual(codeOf(EN));
  });

  test("the same size of a client", () => {
    const size = (page: string) =>
      /([\d.]+)\s+kB（?|([\d.]+) kB/.exec(page)?.[0];
    expect(parseFloat(size(ZH) ?? "")).toBe(parseFloat(size(EN) ?? "?"));
  });

  test("the same sections and as many points", () => {
    expect(levelsOf(ZH)).toEqual(levelsOf(EN));
    expect(itemsOf(ZH)).toBe(itemsOf(EN));
  });

  test("the same links, to the Chinese page where there is one", () => {
    const [toZh, ...en] = linksOf(EN);
    const [toEn, ...zh] = linksOf(ZH);
    expect([toZh, toEn]).toEqual(["README.zh-CN.md", "README.md"]);
    expect(zh).toEqual(en.map((path) => {
      const chinese = path.replace(/README\.md$/, "README.zh-CN.md");
      return existsSync(join(ROOT, chinese)) ? chinese : path;
    }));
  });
});

test("each of these checks can fail", () => {
  expect(blocksOf(ZH.replace("uname -a", "uname"))).not.toEqual(blocksOf(EN));
  expect(codeOf(ZH.replace("`deno task start`", "`deno start`")))
    .not.toEqual(codeOf(EN));
  expect(levelsOf(ZH.replace("## ", "### "))).not.toEqual(levelsOf(EN));
  expect(linksOf(ZH.replace("(SECURITY.md)", "(S.md)")))
    .not.toEqual(linksOf(ZH));
});
