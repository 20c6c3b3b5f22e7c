import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Machine } from "../core/machine.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const { machine }: { machine: Machine } = THIS_RUNTIME === "deno"
  ? await import("../adapters/deno/machine.ts")
  : await import("../adapters/node/machine.ts");
const {
  read,
  createPrivate,
  replacePrivate,
  status,
  remove,
  realPath,
  openLog,
} = machine.files;

const folder = mkdtempSync(join(tmpdir(), "limpet-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

test("a private file is its owner's alone, and so are its new folders", async () => {
  const path = join(folder, "new", "er", "token");
  expect(await createPrivate(path, "secret\n")).toBe(true);
  expect(readFileSync(path, "utf8")).toBe("secret\n");
  expect(modeOf(path)).toBe(0o600);
  expect(modeOf(join(folder, "new"))).toBe(0o700);
  expect(modeOf(join(folder, "new", "er"))).toBe(0o700);
  expect(await read(path)).toEqual({
    text: "secret\n",
    mode: 0o600,
    owner: "self",
  });
});

test("a file of any length is read whole, wherever a character ends", async () => {
  const path = join(folder, "long");
  const text = "a€".repeat(20_000) + "€";
  writeFileSync(path, text);
  expect((await read(path))?.text).toBe(text);
  writeFileSync(path, "");
  expect((await read(path))?.text).toBe("");
});

test("what files cannot be used for is said in the same words everywhere", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const below = join(file, "below");
  const failing: [() => Promise<unknown>, string][] = [
    [() => read(folder), "is a directory (EISDIR)"],
    [() => read(below), "not a directory (ENOTDIR)"],
    [() => createPrivate(join(below, "it"), ""), "not a directory (ENOTDIR)"],
    [() => replacePrivate(below, ""), "not a directory (ENOTDIR)"],
    [() => status(below), "not a directory (ENOTDIR)"],
    [() => remove(below), "not a directory (ENOTDIR)"],
    [() => realPath("x".repeat(300)), "name too long (ENAMETOOLONG)"],
  ];
  for (const [doing, message] of failing) {
    await expect(doing()).rejects.toMatchObject({ message });
  }
});

test("a file that is there is left alone", async () => {
  const path = join(folder, "taken");
  writeFileSync(path, "mine");
  chmodSync(path, 0o644);
  expect(await createPrivate(path, "other")).toBe(false);
  expect(await read(path)).toMatchObject({ text: "mine", mode: 0o644 });
  expect(readdirSync(folder).filter((name) => name.startsWith("taken")))
    .toEqual(["taken"]);
});

test("of many who make the file at once, one does, and all see it whole", async () => {
  const path = join(folder, "race", "token");
  const texts = Array.from({ length: 50 }, (_, i) => `${i} `.repeat(10_000));
  const outcomes = await Promise.all(texts.map(async (text) => {
    const made = await createPrivate(path, text);
    const seen = await read(path);
    return { text, made, seen: seen?.text };
  }));
  const makers = outcomes.filter(({ made }) => made);
  expect(makers).toHaveLength(1);
  expect(new Set(outcomes.map(({ seen }) => seen)))
    .toEqual(new Set([makers[0].text]));
  expect(readdirSync(join(folder, "race"))).toEqual(["token"]);
});

test("no file is null; anything else that is wrong is an error", async () => {
  expect(await read(join(folder, "none"))).toBeNull();
  mkdirSync(join(folder, "directory"));
  await expect(read(join(folder, "directory"))).rejects.toBeDefined();
  writeFileSync(join(folder, "file"), "");
  await expect(createPrivate(join(folder, "file", "token"), "x"))
    .rejects.toBeDefined();
});

test("what replaces a file is private and whole, and links stay links", async () => {
  const path = join(folder, "replaced");
  writeFileSync(path, "old");
  chmodSync(path, 0o644);
  await replacePrivate(path, "new");
  expect(await read(path)).toMatchObject({ text: "new", mode: 0o600 });
  const link = join(folder, "link");
  symlinkSync(path, link);
  await replacePrivate(link, "newer");
  expect(readFileSync(path, "utf8")).toBe("newer");
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  const fresh = join(folder, "fresh");
  await replacePrivate(fresh, "first");
  expect(await read(fresh)).toMatchObject({ text: "first", mode: 0o600 });
  const texts = Array.from({ length: 20 }, (_, i) => `${i} `.repeat(10_000));
  await Promise.all(texts.map(async (text) => {
    await replacePrivate(fresh, text);
    expect(texts).toContain((await read(fresh))?.text);
  }));
  await expect(replacePrivate(join(folder, "no", "where"), "x"))
    .rejects.toBeDefined();
  // Nothing half done is left.
  expect(readdirSync(folder).filter((name) => name.includes("."))).toEqual([]);
});

test("the status tells whose a file is, and one version from another", async () => {
  const path = join(folder, "versions");
  expect(await status(path)).toBeNull();
  writeFileSync(path, "one");
  chmodSync(path, 0o640);
  const first = await status(path);
  expect(first).toMatchObject({ mode: 0o640, owner: "self" });
  expect(await status(path)).toEqual(first);
  await replacePrivate(path, "two");
  const second = await status(path);
  expect(second?.version).not.toBe(first?.version);
  writeFileSync(path, "three");
  expect((await status(path))?.version).not.toBe(second?.version);
  expect(["self", "root"]).toContain((await status("/"))?.owner);
  expect(await remove(path)).toBe(true);
  expect(await remove(path)).toBe(false);
  expect(await status(path)).toBeNull();
});

test("a log is made for its owner alone, grows, and is left as it was found", async () => {
  const path = join(folder, "log");
  const bytes = (text: string) => new TextEncoder().encode(text);
  const first = await openLog(path);
  expect(modeOf(path)).toBe(0o600);
  expect(await first.write(bytes("one\n"))).toBe(4);
  const second = await openLog(path);
  expect(await second.write(bytes("two\n"))).toBe(4);
  expect(await first.write(bytes("three\n"))).toBe(6);
  await Promise.all([first.close(), second.close()]);
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\nthree\n");

  chmodSync(path, 0o640);
  const again = await openLog(path);
  await again.close();
  expect(modeOf(path)).toBe(0o640);
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\nthree\n");
  await expect(openLog(join(folder, "none", "log"))).rejects.toBeDefined();
  const full = await openLog("/dev/full");
  await expect(full.write(bytes("x"))).rejects.toBeDefined();
  await full.close();
});
