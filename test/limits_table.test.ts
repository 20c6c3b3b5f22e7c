import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SERVER_SCHEMA } from "../core/config/schema.ts";
import { EXEC_FLAGS, SERVE_FLAGS, SHELL_FLAGS } from "../core/cli/flags.ts";
import { DEFAULT_LIMITS, resolveLimits } from "../core/limits.ts";
import {
  DEFAULT_SERVER_LIMITS,
  resolveServerLimits,
} from "../core/server_limits.ts";
import { ROOT } from "./support/runtimes.ts";

interface Row {
  readonly name: string;
  readonly value: string;
  readonly flag: string;
}

const page = readFileSync(join(ROOT, "core", "LIMITS.md"), "utf8");

/** The rows of the tables that name limits, up to the fixed ones. */
const rows: Row[] = page.split("## Fixed")[0].split("\n").flatMap((line) => {
  const [, name, value, flag] = line.split("|").map((cell) => cell.trim());
  return name?.startsWith("`")
    ? [{ name: name.slice(1, -1), value, flag }]
    : [];
});

const UNITS: Record<string, number> = {
  "": 1,
  "KiB": 1_024,
  "MiB": 1_024 ** 2,
  "GiB": 1_024 ** 3,
  "s": 1_000,
  "min": 60_000,
  "h": 3_600_000,
};

function valueOf(text: string): number {
  if (text === "no limit") return Infinity;
  const [, number, unit] = /^([\d,]+) ?(\w*)$/.exec(text) ?? [];
  return Number(number.replaceAll(",", "")) * UNITS[unit];
}

describe("the page of limits", () => {
  test("has every limit with its default, and no other", () => {
    const told = rows.map(({ name, value }) => [name, valueOf(value)]);
    expect(Object.fromEntries(told)).toEqual(DEFAULT_SERVER_LIMITS);
    expect(told).toHaveLength(Object.keys(DEFAULT_SERVER_LIMITS).length);
    const both = page.split("## Of a server")[0];
    const ofBoth = rows.filter(({ name }) => both.includes(`\`${name}\``));
    expect(ofBoth.map(({ name }) => name).sort())
      .toEqual(Object.keys(DEFAULT_LIMITS).sort());
  });

  test("names flags that there are, and all of them", () => {
    const told = rows.map(({ flag }) => flag).filter((flag) => flag !== "")
      .map((flag) => flag.slice(3, -1)).sort();
    const served = SERVE_FLAGS.map(({ name }) => name)
      .filter((name) =>
        /^max-|-timeout$|^keepalive$|^grace$/.test(name) &&
        name !== "connect-timeout"
      );
    expect(told).toEqual(served.sort());
    for (const flags of [EXEC_FLAGS, SHELL_FLAGS]) {
      expect(flags.map(({ name }) => name)).toContain("keepalive");
    }
  });

  test("tells of the doc comments what is true", () => {
    const source = ["limits.ts", "server_limits.ts"]
      .map((name) => readFileSync(join(ROOT, "core", name), "utf8")).join("");
    for (const [name, value] of Object.entries(DEFAULT_SERVER_LIMITS)) {
      const [, comment] = new RegExp(
        `/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*readonly ${name}:`,
      ).exec(source) ?? [];
      const said = comment.replace(/\s+\*?\s*/g, " ");
      const number = value.toLocaleString("en-US");
      const forms = value === Infinity
        ? [/Default: (no limit of its own|never)/]
        : [number, `${value / 1_024 ** 2} MiB`, `${value / 1_024 ** 3} GiB`]
          .map((form) => new RegExp(`Default ${form}\\b`));
      expect(forms.some((form) => form.test(said)), `${name}: ${said}`)
        .toBe(true);
    }
  });

  test("the configuration file has all of them", () => {
    const keys = Object.keys(
      SERVER_SCHEMA.properties?.limits.properties ?? {},
    );
    expect(keys.sort()).toEqual(Object.keys(DEFAULT_SERVER_LIMITS).sort());
  });
});

describe("a limit that cannot work is refused", () => {
  test.each([
    ["maxConnections", 0],
    ["maxConnections", 1.5],
    ["maxConnections", -1],
    ["maxConnections", NaN],
    ["maxFrameBytes", 1_023],
    ["windowBytes", 1_023],
    ["windowBytes", 0x8000_0000],
    ["maxWindowGrowthBytes", -1],
    ["maxWindowGrowthBytes", 1_000_000_001],
    ["keepaliveCount", 1],
    ["earlyDropPercent", 101],
    ["earlyDropPercent", 0],
    ["maxSpoolBytes", 65_535],
    ["maxJobs", 0],
    ["jobTtlMs", 0],
  ])("%s of %d", (name, value) => {
    expect(() => resolveServerLimits({ [name]: value })).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringMatching(
          new RegExp(`^Limit ${name} must be .*, not ${value}$`),
        ),
      }),
    );
  });

  test("and the last one that can is taken", () => {
    const limits = {
      maxConnections: 1,
      maxFrameBytes: 1_024,
      windowBytes: 0x7fff_ffff,
      maxWindowGrowthBytes: 0,
      keepaliveCount: 2,
      earlyDropPercent: 100,
      keepaliveMs: Infinity,
      maxSpoolBytes: 65_536,
      jobTtlMs: Infinity,
    };
    expect(resolveServerLimits(limits)).toMatchObject(limits);
    expect(resolveLimits({ maxFrameBytes: 0x7fff_ffff })).toMatchObject({
      maxFrameBytes: 0x7fff_ffff,
    });
  });
});
