/**
 * Every page of the repository: where its relative links lead is there.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./support/runtimes.ts";

/** What is not in the repository. */
const FOREIGN = /(^|\/)(node_modules|dist)(\/|$)/;

function pages(): string[] {
  const tops = readdirSync(ROOT).filter((name) => name.endsWith(".md"));
  const deeper = ["core", "adapters", "test"].flatMap(pagesBelow);
  return [...tops, ...deeper].sort();
}

/** Not `recursive`: that would walk through all of node_modules. */
function pagesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name);
      if (FOREIGN.test(path)) return [];
      if (entry.isDirectory()) return pagesBelow(path);
      return path.endsWith(".md") ? [path] : [];
    });
}

/** Targets of links and pictures that are no addresses, with their fragments. */
function relativeLinks(page: string): string[] {
  // A line of code may hold anything.
  const text = page.replace(/^(`{3,}).*?^\1/gms, "");
  const inline = text.matchAll(/\]\(\s*<?([^)>\s]+)/g);
  const defined = text.matchAll(/^ {0,3}\[[^\]]+\]:\s+<?([^>\s]+)/gm);
  const html = text.matchAll(/<(?:a|img)\b[^>]*?\b(?:href|src)="([^"]+)"/g);
  return [...inline, ...defined, ...html].map(([, target]) => target)
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target));
}

/** The titles of a page as the fragments that lead to them. */
function anchorsOf(page: string): string[] {
  const text = page.replace(/^(`{3,}).*?^\1/gms, "");
  return Array.from(
    text.matchAll(/^#+ +(.+?) *$/gm),
    ([, title]) =>
      title.toLowerCase().replace(/[^\p{L}\p{N}\p{M} _-]/gu, "")
        .replaceAll(" ", "-"),
  );
}

/** What is wrong with the links of a page, if anything. */
function broken(path: string, page: string): string[] {
  return relativeLinks(page).flatMap((target) => {
    const [file, fragment] = target.split("#");
    const where = file === ""
      ? path
      : posix.join(dirname(path), decodeURIComponent(file));
    const whole = join(ROOT, where);
    if (where.startsWith("..") || !existsSync(whole)) {
      return [`${path}: ${target} leads nowhere`];
    }
    if (!fragment || !where.endsWith(".md")) return [];
    const there = where === path ? page : readFileSync(whole, "utf8");
    return anchorsOf(there).includes(decodeURIComponent(fragment))
      ? []
      : [`${path}: ${target} has no such title`];
  });
}

test("all pages are looked at", () => {
  expect(pages()).toEqual(expect.arrayContaining([
    "README.md",
    "README.zh-CN.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "adapters/deno/README.md",
    "core/PROTOCOL.md",
    "core/lab/README.md",
    "core/raw/README.md",
    "test/vectors/README.md",
  ]));
});

test.each(pages())("the links of %s", (path) => {
  expect(broken(path, readFileSync(join(ROOT, path), "utf8"))).toEqual([]);
});

describe("a link that leads nowhere is found:", () => {
  test.each([
    "[a](nowhere.md)",
    "![a](core/nowhere.svg)",
    "[a](core/lab/README.md#no-such-title)",
    "[a](#no-such-title)",
    "[a](../outside.md)",
    '[a](nowhere.md "title")',
    "[a](<nowhere.md>)",
    "[`a`](nowhere.ts#L1)",
    "[a]: nowhere.md",
    '<img src="nowhere.svg">',
  ])("%s", (link) => {
    expect(broken("README.md", `# A title\n\n${link}\n`)).toHaveLength(1);
  });

  test.each([
    "[a](SECURITY.md)",
    "[a](SECURITY.md#raw-mode)",
    "[a](#a-title)",
    "[a](core/lab/)",
    "[a](core/mod.ts#L1)",
    "[a](https://example.org/nowhere.md)",
    "```md\n[a](nowhere.md)\n```",
  ])("and this is none: %s", (link) => {
    expect(broken("README.md", `# A title\n\n${link}\n`)).toEqual([]);
  });
});
