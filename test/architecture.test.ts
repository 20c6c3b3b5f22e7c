import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./support/runtimes.ts";
import { importsOf, runtimeNamesOf, scan } from "./support/scan.ts";

/**
 * Who may import whom: every layer with the layers it may use besides itself.
 * This is the table to change, with a reason in CONTRIBUTING.md, when the
 * design changes.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  auth: ["base"],
  text: ["base"],
  tls: ["base"],
  frame: ["base"],
  link: ["base", "frame"],
  channel: ["base", "frame"],
  admission: ["base"],
  session: ["base", "auth", "frame", "link", "channel"],
  exec: ["base", "text", "frame", "channel"],
  jobs: ["base", "frame", "channel", "exec"],
  raw: ["base", "text", "frame", "exec"],
  server: [
    "base",
    "auth",
    "text",
    "admission",
    "frame",
    "link",
    "session",
    "exec",
    "jobs",
  ],
  api: [
    "base",
    "auth",
    "text",
    "tls",
    "frame",
    "link",
    "session",
    "channel",
    "exec",
    "audit",
    "admission",
    "policy",
    "jobs",
    "server",
  ],
  // Decides what exec is asked for.
  policy: ["base", "exec"],
  // Writes down what the server tells, to a file of the machine's.
  audit: ["base", "server", "api"],
  lab: ["base", "auth", "frame", "session", "raw", "api"],
  config: ["base", "auth", "policy", "api"],
  cli: [
    "base",
    "auth",
    "text",
    "tls",
    "session",
    "exec",
    "jobs",
    "raw",
    "api",
    "audit",
    "policy",
    "lab",
    "config",
  ],
  // What both adapters need, such as reading an address.
  adapter: ["base", "text"],
  "adapters/node": [
    "base",
    "text",
    "tls",
    "api",
    "lab",
    "cli",
    "adapter",
    "adapters/tls",
  ],
  "adapters/deno": [
    "base",
    "text",
    "tls",
    "api",
    "lab",
    "cli",
    "adapter",
    "adapters/tls",
  ],
  // Over node:tls, which every runtime has, and Node's streams.
  "adapters/tls": ["base", "tls", "api", "adapter", "adapters/node"],
};

/** The modules of core/ that stand below everything. */
const BASE =
  /^core\/(bytes|counted|deferred|duration|errors|identity|limits|memory|nearest|ports|printable|server_limits|shortcuts)\.ts$/;

/** Packages that core may use, each by this name alone. */
const CORE_PACKAGES = [
  "@std/streams",
  "iconv-lite",
  "jsonc-parser",
  "pkijs",
  "asn1js",
];

/** Without a counterpart: each makes one runtime's fork cheaper (CONTRIBUTING.md). */
const NODE_ALONE = ["helper_programs.ts", "spawn_helper.ts", "start.ts"];
const DENO_ALONE = ["setsid.ts"];

/** What the top level of the repository may hold. */
const TOP_LEVEL = [
  /^(core|adapters|test|\.ci)$/,
  /^(package|deno|package-lock)\.json$|^deno\.lock$/,
  /^[A-Z_]+\.md$|^README\.zh-CN\.md$|^LICENSE$/,
  /^\.git(ignore|attributes)?$/,
  // Not in the repository: .gitignore has them.
  /^(node_modules|dist)$|\.tgz$/,
];

function layerOf(path: string): string {
  if (BASE.test(path)) return "base";
  const [top, second, ...deeper] = path.split("/");
  if (top === "adapters") return `${top}/${second}`;
  return deeper.length > 0 ? second : "api";
}

/** Path → source of every module, with forward slashes. */
function sources(...directories: string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const directory of directories) {
    const names = readdirSync(join(ROOT, directory), { recursive: true });
    // Their order differs from runtime to runtime.
    for (const name of names.map(String).sort()) {
      const path = posix.join(directory, name.replaceAll("\\", "/"));
      if (!path.endsWith(".ts") || path.endsWith(".d.ts")) continue;
      found.set(path, readFileSync(join(ROOT, path), "utf8"));
    }
  }
  return found;
}

/** Path → paths of the modules it imports. */
function graphOf(files: Map<string, string>): Map<string, string[]> {
  return new Map([...files].map(([path, source]) => {
    const relative = importsOf(source).filter((name) =>
      name.startsWith(".") && !name.endsWith(".json")
    );
    return [path, relative.map((name) => posix.join(dirname(path), name))];
  }));
}

function wrongWay(graph: Map<string, string[]>): string[] {
  return [...graph].flatMap(([path, imports]) => {
    const from = layerOf(path);
    const allowed = MAY_IMPORT[from];
    if (allowed === undefined) return [`${path}: no such layer: ${from}`];
    return imports.flatMap((imported) => {
      const to = layerOf(imported);
      return to === from || allowed.includes(to)
        ? []
        : [`${path} (${from}) imports ${imported} (${to})`];
    });
  });
}

function cyclesOf(graph: Map<string, string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: string[]) => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}

function missing(graph: Map<string, string[]>): string[] {
  return [...graph].flatMap(([path, imports]) =>
    imports.filter((name) => !graph.has(name))
      .map((name) => `${path} imports ${name}, which is not there`)
  );
}

function foreign(source: string): string[] {
  return [
    ...importsOf(source).filter((name) =>
      !name.startsWith(".") && !CORE_PACKAGES.includes(name)
    ),
    ...runtimeNamesOf(source),
  ];
}

describe("the sources", () => {
  const core = sources("core");
  const graph = graphOf(sources("core", "adapters"));

  test("are all there", () => {
    expect(core.size).toBeGreaterThan(10);
    expect(missing(graph)).toEqual([]);
  });

  test("import one way only", () => {
    expect(wrongWay(graph)).toEqual([]);
  });

  test("have no import cycles", () => {
    expect(cyclesOf(graph)).toEqual([]);
  });

  test("of limpet exec on Deno are no server's, and nothing that loads Node's", () => {
    const files = sources("core", "adapters");
    const loaded = new Set(["adapters/deno/main.ts"]);
    const others: string[] = [];
    const atOnce = /^(?:import|export)\b(?! type\b)[^;]*?from "([^"]+)";$/gm;
    for (const path of loaded) {
      for (const [, name] of files.get(path)!.matchAll(atOnce)) {
        if (!name.startsWith(".")) others.push(`${path}: ${name}`);
        else loaded.add(posix.join(posix.dirname(path), name));
      }
    }
    expect(loaded).toContain("core/client.ts");
    expect(loaded).not.toContain("core/server.ts");
    // A package or a module of Node's takes as long as a hundred of ours.
    expect(others).toEqual(["core/text/lines.ts: @std/streams"]);
  });

  test("of core use the web's APIs and nothing else", () => {
    for (const [path, source] of core) {
      expect(foreign(source), path).toEqual([]);
    }
  });

  test("of both adapters have the same file names", () => {
    const names = (directory: string) =>
      [...sources(directory).keys()].map((path) => path.split("/")[2]);
    const without = (names: string[], alone: string[]) =>
      names.filter((name) => !alone.includes(name));
    expect(without(names("adapters/deno"), DENO_ALONE))
      .toEqual(without(names("adapters/node"), NODE_ALONE));
  });
});

test("the top level holds only what belongs there", () => {
  const strangers = readdirSync(ROOT)
    .filter((name) => !TOP_LEVEL.some((rule) => rule.test(name)));
  expect(strangers).toEqual([]);
});

describe("each of these checks can fail:", () => {
  const graph = (files: Record<string, string>) =>
    graphOf(new Map(Object.entries(files)));

  test("an import back", () => {
    const back = {
      "core/channel/channel.ts": `import { S } from "../session/session.ts";`,
      "core/session/session.ts": `export * from "../frame/frame.ts";`,
      "core/frame/frame.ts": `const l = await import("../link/link.ts");`,
      "core/errors.ts": `import type { A } from "./api.ts";`,
      "core/new/thing.ts": "",
      "adapters/node/net.ts": `import "../deno/net.ts";`,
    };
    expect(wrongWay(graph(back))).toEqual([
      "core/channel/channel.ts (channel) imports core/session/session.ts (session)",
      "core/frame/frame.ts (frame) imports core/link/link.ts (link)",
      "core/errors.ts (base) imports core/api.ts (api)",
      "core/new/thing.ts: no such layer: new",
      "adapters/node/net.ts (adapters/node) imports adapters/deno/net.ts (adapters/deno)",
    ]);
  });

  test("a cycle, also of types alone", () => {
    const cycle = {
      "core/a.ts": `import { type B } from "./b.ts";`,
      "core/b.ts": `import type { C } from "./c.ts";`,
      "core/c.ts": `export type { A } from "./a.ts";`,
    };
    expect(cyclesOf(graph(cycle))).toEqual([
      "core/a.ts → core/b.ts → core/c.ts → core/a.ts",
    ]);
    expect(cyclesOf(graph({ "core/a.ts": `import "./a.ts";` }))).toEqual([
      "core/a.ts → core/a.ts",
    ]);
  });

  test("a module that is not there", () => {
    expect(missing(graph({ "core/a.ts": `import "./b.ts";` }))).toHaveLength(1);
  });

  test.each([
    `import { Socket } from "node:net";`,
    `import fs from "fs";`,
    `export * from "npm:deno-std/streams/mod.js";`,
    `await import("node:net");`,
    `Deno.pid;`,
    `const os = typeof Deno === "undefined" ? 1 : Deno.build.os;`,
    `const x = Buffer.from([1]);`,
    "`${process.pid}`;",
    "`${`${ {a: 1}.a + process.pid }`}`;",
    `process?.pid;`,
    `globalThis.process;`,
    `globalThis?.Deno;`,
    `(globalThis as any).Bun;`,
    `globalThis["Bun"];`,
    `if ("Deno" in globalThis) f();`,
    `const half = a / 2; process.exit(); const b = c / 2;`,
    `const re = /"/; process.exit(); // "`,
    `navigator.userAgent;`,
    `const net = require("net");`,
  ])("foreign to core: %s", (source) => {
    expect(foreign(source)).not.toEqual([]);
  });

  test.each([
    `// Deno.pid, import "node:net"`,
    `/* process.exit() */`,
    `throw new Error("Buffer and process and Deno");`,
    "const s = `process ${name} Deno`;",
    `const re = /process.Deno["']/;`,
    `this.process.kill("SIGTERM");`,
    `const f = (process: ProcessHandle) => process.kill("SIGTERM");`,
    `const process = await spawner(command); process.kill("SIGTERM");`,
    `for (const process of processes) process.kill("SIGTERM");`,
    `const x = { process: 1, "Deno": 2 };`,
    `import { toText } from "@std/streams";`,
    `import type { Duplex } from "./ports.ts";`,
  ])("fine in core: %s", (source) => {
    expect(foreign(source)).toEqual([]);
  });

  test("what the scanner cannot read", () => {
    expect(() => scan("const a = `open")).toThrow(SyntaxError);
    expect(() => scan(`const a = "open`)).toThrow(SyntaxError);
  });
});
