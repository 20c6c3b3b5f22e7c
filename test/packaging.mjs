/**
 * Packs the package and looks at it as its users will: what is in it, whether
 * the exports of npm and of Deno agree, whether the types resolve and stand on
 * their own, whether each entry loads and the program starts.
 *
 * Needs a build; `npm test` makes it.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { root } from "../adapters/node/setup.mjs";
import { IMPORTS, sizeOf } from "./size.mjs";

const DENO = process.env.LIMPET_TEST_DENO;

/** What may be in the package. */
const ALLOWED = [
  /^(package\.json|README(\.zh-CN)?\.md|LICENSE|CHANGELOG\.md|core\/PROTOCOL\.md)$/,
  /^core\/config\/server\.schema\.json$/,
  /^adapters\/node\/limpet\.service$/,
  /^dist\/(limpet|program)\.cjs$/,
  /^dist\/(mod|iconv|jobs|certificate|node|deno|shared-[A-Z0-9]+)\.js$/,
  /^dist\/spawn_helper_program\.(mjs|py)$/,
  /^dist\/types\/(core|adapters)\/[\w/]+\.d\.ts$/,
];

/** What must be. */
const REQUIRED = [
  "package.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "core/PROTOCOL.md",
  "core/config/server.schema.json",
  "adapters/node/limpet.service",
  "dist/limpet.cjs",
  "dist/program.cjs",
  "dist/mod.js",
  "dist/iconv.js",
  "dist/jobs.js",
  "dist/certificate.js",
  "dist/node.js",
  "dist/deno.js",
  "dist/spawn_helper_program.mjs",
  "dist/spawn_helper_program.py",
  "dist/types/core/mod.d.ts",
];

let failed = false;
const temporary = mkdtempSync(join(tmpdir(), "limpet-pack-"));
try {
  const npm = json("package.json");
  const deno = json("deno.json");
  report("exports of package.json and deno.json agree", agree(npm, deno));

  const packed = JSON.parse(
    must("npm", ["pack", "--json", "--pack-destination", temporary], root),
  )[0];
  const tarball = join(temporary, packed.filename);
  /** @type {string[]} */
  const paths = packed.files.map((/** @type {{path: string}} */ f) => f.path);
  report("contents", [
    ...paths.filter((path) => !ALLOWED.some((rule) => rule.test(path)))
      .map((path) => `${path} should not be in the package`),
    ...REQUIRED.filter((path) => !paths.includes(path))
      .map((path) => `${path} is missing`),
  ]);

  const consumer = join(temporary, "consumer");
  const installed = join(consumer, "node_modules", "limpet");
  mkdirSync(installed, { recursive: true });
  for (const name of ["iconv-lite", "safer-buffer", "jsonc-parser"]) {
    symlinkSync(
      join(root, "node_modules", name),
      join(consumer, "node_modules", name),
    );
  }
  must("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
  report(
    "nothing of the machine it was built on",
    paths.filter((path) =>
      readFileSync(join(installed, path), "utf8").includes(root)
    ).map((path) => `${path} mentions the build directory`),
  );

  const bytes = readFileSync(tarball);
  const { messages, pkg } = await publint({
    pack: { tarball: new Uint8Array(bytes).buffer },
    strict: true,
  });
  report(
    "publint",
    messages.map((message) =>
      formatMessage(message, pkg, { color: false }) ?? message.code
    ),
  );

  // No consumer of this package can be CommonJS or use node10 resolution.
  const attw = join("test/node_modules/@arethetypeswrong/cli/dist/index.js");
  report(
    "are the types wrong?",
    node([join(root, attw), "--profile", "esm-only", tarball], root),
  );

  report("types stand on their own", types(consumer));
  report("a client is as small as the README says", await size());
  report(
    "entries load, with one LimpetError, and the program starts",
    loads(consumer, npm.version),
  );
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

/**
 * @param {string} name
 * @param {string[]} problems
 */
function report(name, problems) {
  console.log(`${problems.length > 0 ? "FAILED" : "ok    "} ${name}`);
  for (const problem of problems) console.log(`       ${problem}`);
  if (problems.length > 0) failed = true;
}

/**
 * @param {string} name
 * @returns {any}
 */
function json(name) {
  return JSON.parse(readFileSync(join(root, name), "utf8"));
}

/**
 * @param {any} npm
 * @param {any} deno
 */
function agree(npm, deno) {
  const problems = [];
  if (npm.version !== deno.version) {
    problems.push(
      `version: ${npm.version} in npm's, ${deno.version} in Deno's`,
    );
  }
  const names = new Set([
    ...Object.keys(npm.exports),
    ...Object.keys(deno.exports),
  ]);
  // npm's alone
  names.delete("./package.json");
  names.delete("./server.schema.json");
  for (const name of names) {
    const source = deno.exports[name];
    const types = npm.exports[name]?.types;
    if (source === undefined || types === undefined) {
      problems.push(`"${name}" is in one of the two only`);
    } else if (
      types !== source.replace("./", "./dist/types/").replace(/ts$/, "d.ts")
    ) {
      problems.push(`"${name}" is ${source} here and ${types} there`);
    }
  }
  return problems;
}

/** The README says what it stays below, which is 16 kB or less. */
async function size() {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const said = /below ([\d.]+) kB minified and gzipped/.exec(readme)?.[1];
  const { gzipped, text } = await sizeOf(IMPORTS["a client"]);
  const problems = [];
  if (!(gzipped < Number(said) * 1000)) {
    problems.push(`A client is ${gzipped} bytes, not below ${said} kB`);
  }
  if (!(Number(said) <= 16)) {
    problems.push(`The README says ${said} kB, more than 16 is too much`);
  }
  for (const name of ["iconv-lite", "jsonc-parser"]) {
    if (text.includes(`${name}"`)) problems.push(`${name} is in a client`);
  }
  return problems;
}

/**
 * Runs a program; its output is the problem if it fails.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {string} cwd
 * @returns {string[]}
 */
function attempt(program, args, cwd) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
  });
  if (status === 0) return [];
  return `${error ?? ""}${stdout ?? ""}${stderr ?? ""}`.trim().split("\n");
}

/**
 * @param {string[]} args
 * @param {string} cwd
 */
function node(args, cwd) {
  return attempt(process.execPath, args, cwd);
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {string} [cwd]
 * @returns {string} its stdout
 */
function must(program, args, cwd = temporary) {
  const shell = process.platform === "win32";
  const { status, error, stdout } = spawnSync(program, args, {
    cwd,
    shell,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) {
    throw new Error(`Failed to run ${program} ${args[0]}`, { cause: error });
  }
  return stdout;
}

/**
 * A consumer with no types but the web's, whose compiler reads our declarations
 * through and through: they mention neither Node's nor Deno's types.
 *
 * @param {string} consumer
 */
function types(consumer) {
  writeFileSync(join(consumer, "package.json"), `{ "type": "module" }`);
  writeFileSync(
    join(consumer, "consumer.ts"),
    `import { LimpetError } from "limpet";
     import * as node from "limpet/node";
     import * as deno from "limpet/deno";
     import { iconv } from "limpet/iconv";
     export const codec: deno.TextCodec | null = iconv.find("gbk");
     export const error: Error = new LimpetError("closed", "Closed");
     export const same: typeof node.LimpetError = deno.LimpetError;
     // @ts-expect-error: a closed list of codes, so the types are not any
     new LimpetError("no such code", "");
    `,
  );
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const flags = "--noEmit --strict --types --lib ES2023,ESNext.Disposable,DOM"
    .split(" ");
  flags.splice(3, 0, "");
  const how = [
    ["--module", "nodenext", "--moduleResolution", "nodenext"],
    ["--module", "esnext", "--moduleResolution", "bundler"],
  ];
  return how.flatMap((resolution) =>
    node([tsc, ...flags, ...resolution, "consumer.ts"], consumer)
  );
}

/**
 * @param {string} consumer
 * @param {string} version
 */
function loads(consumer, version) {
  const same = (/** @type {string} */ other) =>
    `import { LimpetError } from "limpet";
     import * as other from "${other}";
     import { iconv } from "limpet/iconv";
     if (other.LimpetError !== LimpetError) throw new Error("Two LimpetErrors");
     const text = other.decodeText(Uint8Array.of(0x81), iconv.find("cp437"));
     if (text !== "ü") throw new Error(text);
    `;
  writeFileSync(join(consumer, "node.mjs"), same("limpet/node"));
  writeFileSync(join(consumer, "deno.mjs"), same("limpet/deno"));
  writeFileSync(
    join(consumer, "version.mjs"),
    `import { execFileSync } from "node:child_process";
     const program = "node_modules/limpet/dist/limpet.cjs";
     const said = String(execFileSync(program, ["--version"])).trim();
     if (!said.split(/\\s+/).includes("${version}")) throw new Error(said);
    `,
  );
  const problems = [
    ...node(["node.mjs"], consumer),
    ...node(["version.mjs"], consumer),
  ];
  if (DENO !== undefined) {
    const args = ["run", "-A", "--node-modules-dir=manual", "deno.mjs"];
    problems.push(...attempt(DENO, args, consumer));
  }
  return problems;
}
