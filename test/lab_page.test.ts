/**
 * The lab's pages, `core/lab/README.md` and `core/lab/README.zh-CN.md`: what
 * they show is what the lab prints, what they point at is there, and both say
 * the same things in the same order.
 *
 * After a change of the lab's words or lines:
 *
 *     npm test -- --only node,deno test/lab_page.test.ts -u
 *
 * prints the changed experiments anew and finds the lines again.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LAB_NAMES } from "../core/lab/run.ts";
import { widthOf } from "../core/lab/wrap.ts";
import { limpet } from "./support/cli.ts";
import { ROOT, THIS_RUNTIME } from "./support/runtimes.ts";

const FOLDER = join("core", "lab");
const EN = read("README.md");
const ZH = read("README.zh-CN.md");
const PAGES = { "README.md": EN, "README.zh-CN.md": ZH };
const NAMES = Object.keys(PAGES) as (keyof typeof PAGES)[];

/** What they say in whole sentences has measured numbers in it too. */
const MEASURED: ReadonlySet<string> = new Set(["split", "datagram"]);

function read(path: string): string {
  return readFileSync(join(ROOT, FOLDER, path), "utf8");
}

interface Run {
  /** `limpet lab sticky`, with `--lang zh` in Chinese. */
  readonly command: string;
  readonly name: string;
  readonly printed: string;
}

function runsOf(page: string): Run[] {
  return Array.from(
    page.matchAll(/^```text\n\$ (limpet lab (\w+)[^\n]*)\n(.*?)^```/gms),
    ([, command, name, printed]) => ({ command, name, printed }),
  );
}

/** Stands for lines that say the same as those around it. */
const LEFT_OUT = "    …";

/**
 * What is printed, without the title, which the page has as its own, and
 * without what is measured over and over again.
 */
function shortened(name: string, printed: string): string {
  const [, rule, gap, ...lines] = printed.trimEnd().split("\n");
  expect([rule, gap]).toEqual([expect.stringMatching(/^─+$/), ""]);
  const kinds = lines.map((line) => wordsOf({ name, printed: line }).join());
  const same = (at: number, than: number) =>
    lines[at].startsWith("    ") && kinds[at] === kinds[than];
  const kept = lines.flatMap((line, at) => {
    const inside = at > 0 && at + 1 < lines.length && same(at, at - 1) &&
      same(at, at + 1);
    if (!inside) return [line];
    // The first of them stays as the sign that they are not all.
    return at > 1 && same(at, at - 2) ? [] : [LEFT_OUT];
  });
  return `${kept.join("\n")}\n`;
}

/** Lines as they were before they were wrapped. */
function unwrapped(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.trimEnd().split("\n")) {
    const before = lines.at(-1) ?? "";
    const goesOn = /^ {4}/.test(before)
      ? /^ {6}/.test(line)
      : /^[✓✗]/.test(before)
      ? /^ {2}\S/.test(line)
      : /^[^\s─]/.test(before) && /^[^\s─✓✗]/.test(line);
    if (goesOn) lines[lines.length - 1] += ` ${line.trim()}`;
    else lines.push(line);
  }
  return lines;
}

/**
 * What an experiment prints, without what differs by machine, kernel, runtime
 * or from one time to the next: numbers, previews of bytes, what the system
 * calls an error, how often the same thing is said, and where lines end.
 */
function wordsOf({ name, printed }: Omit<Run, "command">): string[] {
  const all = unwrapped(printed).filter((line) => line !== LEFT_OUT);
  const lines = all.map((line) => {
    const shown = line.startsWith("    ");
    let words = line
      .replace(/(Connection lost|Cannot connect to \S+): [^()]*\(E\w+\)/, "E")
      .replace(/SIG[A-Z]+/, "SIGNAL");
    if (shown) {
      words = words.replace(/"[^"]*"/g, '"…"')
        .replace(/not known here|本机查不到/, "0");
    }
    if (shown || MEASURED.has(name)) {
      words = words.replace(/\d[\d,]*(\s+\d[\d,]*)*/g, "0");
    }
    return (shown ? "    " : "") + words.replace(/\s+/g, "");
  });
  return lines.filter((line, at) => line === "" || line !== lines[at - 1]);
}

/** A link whose text is code that stands on the line it points to. */
const LINE = /\[`([^`]+)`\]\(([^)#]+)#L(\d+)\)/g;

/** The line's number now; the same if the code is still there. */
function lineOf(code: string, path: string, number: number): number {
  const wanted = code.replace(/\s+/g, " ");
  const lines = read(path).split("\n");
  if (lines[number - 1]?.includes(wanted)) return number;
  const found = lines.findIndex((line) => line.includes(wanted));
  if (found === -1) throw new Error(`No line of ${path} has ${wanted}`);
  return found + 1;
}

/** The page as it should be: the same, unless something else is printed now. */
async function current(page: string): Promise<string> {
  let text = page;
  for (const run of runsOf(page)) {
    const { code, stdout, stderr } = await limpet(
      run.command.split(" ").slice(1),
    );
    expect({ code, stderr }, run.command).toEqual({ code: 0, stderr: "" });
    expect(stdout.match(/^✓ /gm), run.command).toHaveLength(2);
    // deno-lint-ignore no-control-regex -- they are what it is about
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f]|\{\w+\}/);
    for (const line of stdout.split("\n")) {
      expect(widthOf(line), line).toBeLessThanOrEqual(80);
    }
    const now = { name: run.name, printed: shortened(run.name, stdout) };
    if (wordsOf(now).join("\n") === wordsOf(run).join("\n")) continue;
    const block = (printed: string) => `$ ${run.command}\n${printed}\`\`\``;
    text = text.replace(block(run.printed), () => block(now.printed));
  }
  return text.replace(
    LINE,
    (_, code, path, number) =>
      `[\`${code}\`](${path}#L${lineOf(code, path, Number(number))})`,
  );
}

// Each experiment is run on both runtimes; which language it is told in is core's
// affair, and has its turn.
test.each([NAMES[THIS_RUNTIME === "deno" ? 1 : 0]])(
  "%s shows what the lab prints, and where it stands",
  async (name) => {
    await expect(await current(PAGES[name]))
      .toMatchFileSnapshot(join(ROOT, FOLDER, name));
  },
);

function linksOf(page: string): string[] {
  return Array.from(page.matchAll(/\]\(([^)#\s]+)/g), ([, path]) => path);
}

/** Names after a link: `[core/server.ts](../server.ts) `Server` `accept``. */
function namedIn(page: string): { path: string; name: string }[] {
  const links = page.matchAll(/\]\(([^)#\s]+)\)((?:\s+`[^`]+`)+)/g);
  return [...links].flatMap(([, path, names]) =>
    Array.from(names.matchAll(/`([^`]+)`/g), ([, name]) => ({ path, name }))
  );
}

function defines(source: string, name: string): boolean {
  return new RegExp(
    `\\b(?:function|class|const|interface) ${name}\\b` +
      `|^ +(?:async )?${name}\\(`,
    "m",
  ).test(source);
}

describe.each(NAMES)("%s", (name) => {
  const page = PAGES[name];

  test("has every experiment, in their order and in its language", () => {
    const language = page === ZH ? " --lang zh" : "";
    expect(runsOf(page).map(({ command }) => command))
      .toEqual(LAB_NAMES.map((each) => `limpet lab ${each}${language}`));
    for (const { printed } of runsOf(page)) {
      for (const line of printed.split("\n")) {
        expect(widthOf(line), line).toBeLessThanOrEqual(80);
      }
    }
  });

  test("points at files that are there, by their names", () => {
    expect(linksOf(page).length).toBeGreaterThan(20);
    for (const path of linksOf(page)) {
      expect(existsSync(join(ROOT, FOLDER, path)), path).toBe(true);
    }
    const named = page.matchAll(/\[([\w./-]+\.(?:ts|md))\]\(([^)#\s]+)\)/g);
    for (const [, text, path] of named) {
      expect([path, join(FOLDER, path)]).toContain(text.replace(/^\.\//, ""));
    }
  });

  test("names what is in those files", () => {
    expect(namedIn(page).length).toBeGreaterThan(10);
    for (const { path, name } of namedIn(page)) {
      const source = read(path);
      expect(defines(source, name), `${name} in ${path}`).toBe(true);
    }
  });

  test("has commands that are there to be run", () => {
    const file = (path: string) =>
      JSON.parse(readFileSync(join(ROOT, path), "utf8"));
    const commands = commandsOf(page).join("\n");
    const scripts = [...commands.matchAll(/npm run (\w+)/g)];
    const tasks = [...commands.matchAll(/deno task (\w+)/g)];
    const programs = [...commands.matchAll(/python3 (\S+)/g)];
    expect([scripts.length, tasks.length, programs.length])
      .not.toContain(0);
    for (const [, script] of scripts) {
      expect(file("package.json").scripts).toHaveProperty(script);
    }
    for (const [, task] of tasks) {
      expect(file("deno.json").tasks).toHaveProperty(task);
    }
    for (const [, path] of programs) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
  });
});

/** Lines to be typed, without comments and whichever language is asked for. */
function commandsOf(page: string): string[] {
  const blocks = page.matchAll(/^```sh\n(.*?)^```/gms);
  const lines = [...blocks].flatMap(([, body]) => body.trim().split("\n"));
  return lines.map((line) =>
    line.replace(/\s+# .*$/, "").replace(" --lang zh", "")
  );
}

function levelsOf(page: string): string[] {
  const prose = page.replace(/^```.*?^```/gms, "");
  return Array.from(prose.matchAll(/^(#+) /gm), ([, level]) => level);
}

/** Whatever is written as code outside of blocks, each once. */
function codeOf(page: string): string[] {
  const prose = page.replace(/^```.*?^```/gms, "");
  const spans = Array.from(prose.matchAll(/`([^`]+)`/g), ([, span]) => span);
  const plain = spans.map((span) =>
    span.replace(/\s+/g, " ").replace(" --lang zh", "")
  );
  return [...new Set(plain)].sort();
}

/** Of a page in English: where its links lead in the Chinese one. */
function inChinese(path: string): string {
  const chinese = path.replace(/\.(md|svg)$/, ".zh-CN.$1");
  return existsSync(join(ROOT, FOLDER, chinese)) ? chinese : path;
}

describe("both pages have", () => {
  test("the same sections and as many points", () => {
    expect(levelsOf(ZH)).toEqual(levelsOf(EN));
    const points = (page: string) => page.match(/^- /gm)?.length;
    expect(points(ZH)).toBe(points(EN));
  });

  test("the same commands, and the same names in the text", () => {
    expect(commandsOf(ZH)).toEqual(commandsOf(EN));
    expect(codeOf(ZH)).toEqual(codeOf(EN));
  });

  test("the same links, to what is in Chinese where there is that", () => {
    const [toZh, ...en] = linksOf(EN);
    const [toEn, ...zh] = linksOf(ZH);
    expect([toZh, toEn]).toEqual(["README.zh-CN.md", "README.md"]);
    expect(zh).toEqual(en.map(inChinese));
  });
});

describe("each of these checks can fail:", () => {
  test("a word breaks it, a number does not", () => {
    for (const page of [EN, ZH]) {
      const [run] = runsOf(page);
      const changed = (from: RegExp, to: string) => {
        expect(run.printed).toMatch(from);
        return wordsOf({ ...run, printed: run.printed.replace(from, to) });
      };
      expect(changed(/468/, "12,345")).toEqual(wordsOf(run));
      expect(changed(/"1\\n2[^"]*"/, '"x"')).toEqual(wordsOf(run));
      expect(changed(/left in|留在/, "lost in")).not.toEqual(wordsOf(run));
      expect(changed(/✓/, "✗")).not.toEqual(wordsOf(run));
      expect(changed(/“?"?echo second/, "x")).not.toEqual(wordsOf(run));
    }
  });

  test("so do a line that is gone and a name that is nobody's", () => {
    expect(() => lineOf("no such thing", "sticky.ts", 1)).toThrow("No line");
    expect(lineOf("const FIRST =", "sticky.ts", 1)).toBeGreaterThan(1);
    expect(defines(read("sticky.ts"), "sticky")).toBe(true);
    expect(defines(read("sticky.ts"), "stuck_to")).toBe(false);
  });
});
