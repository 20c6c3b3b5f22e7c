import fc from "fast-check";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isRunning, markOf } from "../core/adapter/process_mark.ts";
import { checkJobId, makeJobId } from "../core/exec/job_id.ts";
import { takeLock } from "../core/jobs/lock.ts";
import type { JobRecord } from "../core/jobs/record.ts";
import { fileName, JobStore } from "../core/jobs/store.ts";
import { jobFiles, temporaryFolder } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";

useLeakCheck(() => execFileSync("true"));

const PRINTS = Object.fromEntries(
  "argv line cwd env stdin stdout stderr merge encoding timeoutMs killAfterMs drainMs onDisconnect"
    .split(" ").map((name) => [name, "00"]),
) as JobRecord["fingerprint"];

const RECORD: JobRecord = {
  id: "a",
  identity: "ann",
  key: null,
  onDisconnect: "detach",
  argv: ["ls", "-l"],
  shell: false,
  fingerprint: PRINTS,
  startedAt: 1_800_000_000_000,
  pid: 7,
  endedAt: 1_800_000_000_001,
  status: { code: 3, signal: null, reason: null, success: false },
  streams: ["stdout", "stderr"],
  stdout: { bytes: 5, heldOpen: false },
  stderr: {
    bytes: 0,
    heldOpen: true,
    cut: { code: "limit_exceeded", message: "too much" },
  },
  problem: "full",
};

describe("the lock of a folder", () => {
  test("is one process's, however many ask for it at once", async () => {
    using folder = temporaryFolder();
    const taken = await Promise.all(
      Array.from({ length: 20 }, () => takeLock(jobFiles, folder.path)),
    );
    expect(taken.filter((each) => each !== null))
      .toEqual([`${folder.path}/.lock.1`]);
    expect(readdirSync(folder.path)).toEqual([".lock.1"]);
  });

  test("that a dead process left is taken by one, or by the next", async () => {
    using folder = temporaryFolder();
    const own = jobFiles.ownMark();
    const [pid] = own.split(" ");
    // Of another time, and of no process at all.
    const stale = [`${pid} 1`, "999999999 5", "999999999", "x", ""];
    for (const [i, mark] of stale.entries()) {
      writeFileSync(join(folder.path, `.lock.${i * 3 + 1}`), mark);
      const all = await Promise.all(
        Array.from({ length: 8 }, () => takeLock(jobFiles, folder.path)),
      );
      let taken = all.filter((each) => each !== null);
      // Who sees another one gives way, and that one may do the same.
      if (taken.length === 0) {
        taken = [await takeLock(jobFiles, folder.path) ?? "none"];
      }
      expect(taken, mark).toHaveLength(1);
      expect(readFileSync(taken[0], "utf8")).toBe(own);
      expect(await takeLock(jobFiles, folder.path)).toBeNull();
      rmSync(taken[0]);
    }
  });

  test("is nobody's where two have made one", async () => {
    using folder = temporaryFolder();
    // The other one's comes into being right before ours.
    const files = {
      ...jobFiles,
      async create(path: string, text: string) {
        writeFileSync(join(folder.path, ".lock.9"), jobFiles.ownMark());
        return await jobFiles.create(path, text);
      },
    };
    expect(await takeLock(files, folder.path)).toBeNull();
    expect(readdirSync(folder.path)).toEqual([".lock.9"]);
  });

  test("a mark tells a process from a later one of its number", () => {
    const stat = (started: number) =>
      `7 (a ) b) S ${
        Array.from({ length: 18 }, (_, i) => i).join(" ")
      } ${started} 0`;
    const mark = markOf(7, () => stat(123));
    expect(mark).toBe("7 123");
    const there = () => true;
    expect(isRunning(mark, () => stat(123), there)).toBe(true);
    expect(isRunning(mark, () => stat(124), there)).toBe(false);
    expect(isRunning(mark, () => stat(123), () => false)).toBe(false);
    // Where nothing can be read, it may well be the same.
    const never = () => {
      throw new Error("Not here");
    };
    expect(markOf(7, never)).toBe("7");
    expect(isRunning(mark, never, there)).toBe(true);
    expect(isRunning("7", () => stat(123), there)).toBe(true);
  });
});

test("what goes while a folder is listed takes nothing else along", async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "stays"), "12345");
  let over = false;
  const coming = (async () => {
    for (let i = 0; i < 300; i++) {
      const path = join(folder.path, `goes${i % 7}`);
      await jobFiles.replace(path, "");
      await jobFiles.remove(path);
    }
    over = true;
  })();
  while (!over) {
    expect(await jobFiles.list(folder.path))
      .toContainEqual({ name: "stays", bytes: 5 });
  }
  await coming;
});

describe("what is written down of a job", () => {
  test("is found again as it was", async () => {
    using folder = temporaryFolder();
    const store = await JobStore.open(jobFiles, join(folder.path, "jobs"));
    const running = {
      ...RECORD,
      id: "B.x",
      identity: "Ann Ä",
      key: "0123456789abcdef01234567",
      endedAt: null,
      status: null,
      stdout: null,
      stderr: null,
      problem: null,
    };
    const ended = {
      ...RECORD,
      status: { ...RECORD.status!, reason: "cancelled", success: false },
    };
    for (const record of [running, ended]) await store.write(record);
    const problems: string[] = [];
    const found = await store.load((message) => problems.push(message));
    expect(problems).toEqual([]);
    const records = found.map(({ record }) => record);
    expect(records).toHaveLength(2);
    expect(records).toEqual(expect.arrayContaining([running, ended]));
    await store.remove({ name: "ann", key: null }, "a");
    expect(await store.load(() => {})).toHaveLength(1);
    await store.close();
  });

  test("and cannot be read is named, and keeps nobody from the others", async () => {
    using folder = temporaryFolder();
    const root = join(folder.path, "jobs");
    const store = await JobStore.open(jobFiles, root);
    await store.write(RECORD);
    const good = readFileSync(join(root, "ann", "a", "record.json"), "utf8");
    const bad: Record<string, string | null> = {
      nothing: null,
      text: "not json",
      list: "[]",
      version: good.replace('"version":1', '"version":2'),
      long: good + " ".repeat(70_000),
      id: good,
      types: good.replace('"startedAt":1800000000000', '"startedAt":"now"')
        .replace('"id":"a"', '"id":"types"'),
      missing: good.replace('"pid":7,', "").replace(
        '"id":"a"',
        '"id":"missing"',
      ),
      kill: good.replace('"detach"', '"kill"').replace(
        '"id":"a"',
        '"id":"kill"',
      ),
    };
    for (const [name, text] of Object.entries(bad)) {
      mkdirSync(join(root, "ann", name));
      if (text === null) continue;
      writeFileSync(join(root, "ann", name, "record.json"), text);
    }
    // Somebody else's, by the folder that it is in.
    mkdirSync(join(root, "bob"));
    await store.write({ ...RECORD, id: "moved" });
    renameSync(join(root, "ann", "moved"), join(root, "bob", "moved"));
    writeFileSync(join(root, "stray"), "");
    writeFileSync(join(root, "ann", "stray"), "");
    const problems: string[] = [];
    const found = await store.load((message) => problems.push(message));
    expect(found.map(({ record }) => record.id)).toEqual(["a"]);
    expect(problems).toHaveLength(Object.keys(bad).length + 1);
    for (
      const name of [...Object.keys(bad).map((n) => `ann/${n}`), "bob/moved"]
    ) {
      expect(problems.some((text) => text.includes(`/${name}: `)), name)
        .toBe(true);
    }
    await store.close();
  });
});

test("names of folders are as different as what they stand for", () => {
  const name = fc.string({ unit: "binary", minLength: 1, maxLength: 12 });
  fc.assert(fc.property(name, name, (one, other) => {
    const [a, b] = [fileName(one), fileName(other)];
    expect(a).toMatch(/^[a-z0-9_+-]+$/);
    const same = new TextEncoder().encode(one).toString() ===
      new TextEncoder().encode(other).toString();
    expect(a.toLowerCase() === b.toLowerCase()).toBe(same);
  }));
  expect(fileName("Ab/..")).toBe("+41b+2f+2e+2e");
  for (const none of ["", "x".repeat(201), "A".repeat(67)]) {
    expect(() => fileName(none)).toThrow(/cannot be the name of a folder/);
  }
});

test("ids that a server gives are ids, new each time, and in order", () => {
  const ids = Array.from({ length: 1_000 }, () => makeJobId());
  expect(new Set(ids).size).toBeGreaterThan(990);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{12}$/);
    checkJobId(id);
  }
  const times = [0, 1_767_225_600_000, 1_800_000_000_000, 2_800_000_000_000];
  const inOrder = times.map((now) => makeJobId(now).slice(0, 8));
  expect(inOrder).toEqual([...inOrder].sort());
  expect(new Set(inOrder.slice(1)).size).toBe(3);
});
