/**
 * `npm test`: installs, builds, and runs every check and the suite on every
 * runtime. The last line is `N passed, N failed`.
 *
 *     npm test
 *     npm test -- --only node,checks
 *     npm test -- --only deno test/frame.test.ts -t "split"
 *     npm test -- --fix            format and fix what can be fixed, then stop
 *
 * What is not an option of ours goes to vitest. With a file to filter by, the
 * checks are left out unless `--only` names them.
 *
 * @module
 */

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import process from "node:process";
import { build, install, root } from "../adapters/node/setup.mjs";

const PARTS = ["checks", "node", "deno", "bun"];

const { only, rest, fix } = options(process.argv.slice(2));
const modules = join(root, "test", "node_modules");
const temporary = mkdtempSync(join(tmpdir(), "limpet-test-"));
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));
// Children share the terminal's process group: Ctrl-C reaches them by itself.
// We stay to sum up what was done until then.
let interrupted = false;
process.on("SIGINT", () => interrupted = true);

/**
 * `failures`: what failed and why, for the summary: an automatic log may keep
 * the end alone.
 *
 * @type {{ name: string, passed: number, failed: number, skipped: number, failures?: string[], seconds: number }[]}
 */
const results = [];

try {
  heading("install");
  // The network is what they wait for; neither needs the other.
  await Promise.all([
    install(root, "the build tools"),
    install(join(root, "test"), "the test tools"),
  ]);
} catch (error) {
  console.error(`limpet: ${error}`);
  console.log("0 passed, 1 failed");
  process.exit(1);
}

const deno = binary("@deno", ["deno"]);
const bun = binary("@oven", ["bin", "bun"]);
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
const vitest = join(modules, "vitest", "vitest.mjs");

const path = [...directPython(), process.env.PATH ?? ""].join(delimiter);

if (fix) {
  const formatted = await run([deno, "fmt"]);
  process.exit(formatted || await run([deno, "lint", "--fix"]));
}

await checkThat("build", build);
if (only.includes("checks")) {
  const node = process.execPath;
  // The two that take longest come first.
  await checks([
    ["package", [node, join("test", "packaging.mjs")]],
    ["types of adapters/deno", [deno, "check", "--frozen", "adapters/deno"]],
    ["types of core", [node, tsc, "-p", "core"]],
    ["types of adapters/node", [node, tsc, "-p", "adapters/node"]],
    ["types of test", [node, tsc, "-p", "test"]],
    ["format", [deno, "fmt", "--check"]],
    ["lint", [deno, "lint"]],
  ]);
}
if (only.includes("node")) await suite("node", [process.execPath, vitest]);
if (only.includes("deno")) {
  const flags = [
    "--quiet",
    "-A",
    "--node-modules-dir=manual",
    // What deno.json turns on, which is not looked for where vitest lies.
    "--unstable-net",
  ];
  await suite("deno", [deno, "run", ...flags, vitest]);
}
if (only.includes("bun")) await suite("bun", [bun, "--bun", vitest]);

summary();

/**
 * @param {string[]} args
 */
function options(args) {
  let only = PARTS;
  let chosen = false;
  let fix = false;
  const rest = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--fix") {
      fix = true;
    } else if (arg === "--only" || arg.startsWith("--only=")) {
      const value = arg === "--only" ? args[++i] ?? "" : arg.slice(7);
      const names = value.split(",");
      const unknown = names.find((name) => !PARTS.includes(name));
      if (unknown !== undefined) {
        console.error(`limpet: --only takes ${PARTS.join(", ")}: ${unknown}`);
        process.exit(2);
      }
      only = chosen ? [...only, ...names] : names;
      chosen = true;
    } else {
      rest.push(arg);
    }
  }
  if (rest.length > 0 && !chosen) only = only.filter((p) => p !== "checks");
  return { only, rest, fix };
}

/**
 * The program inside the one platform package that npm chose.
 *
 * @param {string} scope
 * @param {string[]} inside
 */
function binary(scope, inside) {
  const suffix = process.platform === "win32" ? ".exe" : "";
  for (const name of readdirSync(join(modules, scope))) {
    const path = join(modules, scope, name, ...inside) + suffix;
    if (existsSync(path)) return path;
  }
  throw new Error(`npm has no ${inside.at(-1)} for this platform`);
}

/**
 * A folder with python3 itself. Where a version manager stands before it, each
 * of the hundreds of starts would go through a shell script that costs more than
 * all that the program does.
 *
 * @returns {string[]} none where there is no Python
 */
function directPython() {
  const print = ["-c", "import sys; print(sys.executable)"];
  const { stdout } = spawnSync("python3", print, { encoding: "utf8" });
  if (!stdout || process.platform === "win32") return [];
  const folder = join(temporary, "bin");
  mkdirSync(folder);
  symlinkSync(stdout.trim(), join(folder, "python3"));
  return [folder];
}

/**
 * @param {string} text
 */
function heading(text) {
  process.stdout.write(`\n── ${text}\n`);
}

/**
 * @param {string[]} command
 * @param {Record<string, string | undefined>} [env]
 * @returns {Promise<number>} the exit code; 1 when there is none
 */
function run(command, env = {}) {
  return exitOf(start(command, "inherit", env));
}

/**
 * @param {string[]} command
 * @param {"inherit" | "pipe"} output
 * @param {Record<string, string | undefined>} [env]
 */
function start([program, ...args], output, env = {}) {
  return spawn(program, args, {
    cwd: root,
    // Nothing here reads stdin, and a test must not be able to hang on it.
    stdio: ["ignore", output, output],
    env: {
      ...process.env,
      PATH: path,
      LIMPET_TEST_NODE: process.execPath,
      LIMPET_TEST_DENO: deno,
      ...env,
    },
  });
}

/**
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<number>} once all of its output is here
 */
function exitOf(child) {
  return new Promise((resolve) => {
    child.on("error", (error) => {
      console.error(String(error));
      resolve(1);
    }).on("close", (code) => resolve(code ?? 1));
  });
}

/**
 * Runs checks two at a time, and shows what each has said when it is over.
 *
 * @param {[name: string, command: string[]][]} waiting
 */
async function checks(waiting) {
  const worker = async () => {
    for (let next; !interrupted && (next = waiting.shift()) !== undefined;) {
      const [name, command] = next;
      const started = Date.now();
      const child = start(command, "pipe");
      let said = "";
      for (const output of [child.stdout, child.stderr]) {
        output?.setEncoding("utf8").on("data", (text) => said += text);
      }
      const code = await exitOf(child);
      heading(name);
      process.stdout.write(said);
      passOrFail(name, started, code === 0 ? null : `Exit code ${code}`);
    }
  };
  await Promise.all([worker(), worker()]);
}

/**
 * @param {string} name
 * @param {() => Promise<void>} action
 */
async function checkThat(name, action) {
  if (interrupted) return;
  heading(name);
  const started = Date.now();
  const failure = await action().then(() => null, (error) => error);
  passOrFail(name, started, failure);
}

/**
 * @param {string} name
 * @param {number} started
 * @param {unknown} failure null when there is none
 */
function passOrFail(name, started, failure) {
  const passed = failure === null ? 1 : 0;
  if (failure !== null) console.error(`limpet: ${failure}`);
  const seconds = (Date.now() - started) / 1000;
  results.push({ name, passed, failed: 1 - passed, skipped: 0, seconds });
}

/**
 * @param {string} runtime
 * @param {string[]} command
 */
async function suite(runtime, command) {
  if (interrupted) return;
  heading(`suite on ${runtime}`);
  const started = Date.now();
  const output = join(temporary, `${runtime}.json`);
  const code = await run([
    ...command,
    "run",
    "--config",
    join("test", "vitest.config.ts"),
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${output}`,
    ...rest,
  ], {
    LIMPET_TEST_RUNTIME: runtime,
    // What one of them has made of the sources is the same for the next.
    LIMPET_TEST_CACHE: join(temporary, "modules"),
    // No test leaves this machine, and Node reads them anew at each start.
    NODE_EXTRA_CA_CERTS: undefined,
  });
  results.push({
    name: `suite on ${runtime}`,
    ...counts(output, code),
    seconds: (Date.now() - started) / 1000,
  });
}

/**
 * Counts the tests of a run. Whatever makes a run wrong without a failed test
 * (a file that does not load, an unhandled error, no test at all) counts as one.
 *
 * @param {string} path
 * @param {number} code
 */
function counts(path, code) {
  let passed = 0, failed = 0, skipped = 0;
  const failures = [];
  if (existsSync(path)) {
    const report = JSON.parse(readFileSync(path, "utf8"));
    for (
      const { name, status, message, assertionResults } of report.testResults
    ) {
      const file = relative(root, name);
      if (status === "failed" && assertionResults.length === 0) {
        failed++;
        failures.push(`${file}: ${message}`);
      }
      for (const { status, fullName, failureMessages } of assertionResults) {
        if (status === "passed") passed++;
        else if (status === "failed") failed++;
        else skipped++;
        if (status === "failed") {
          failures.push(`${file}: ${fullName}\n${failureMessages.join("\n")}`);
        }
      }
    }
  }
  if (failed === 0 && (code !== 0 || passed === 0)) {
    failed = 1;
    failures.push(`No test failed, but vitest ended with exit code ${code}`);
  }
  return { passed, failed, skipped, failures };
}

function summary() {
  heading("summary");
  let passed = 0, failed = 0;
  for (const result of results) {
    passed += result.passed;
    failed += result.failed;
    const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : "";
    console.log(
      `${result.failed > 0 ? "FAILED" : "ok    "} ${result.name}: ` +
        `${result.passed} passed, ${result.failed} failed${skipped} ` +
        `(${result.seconds.toFixed(1)} s)`,
    );
    for (const failure of result.failures ?? []) {
      console.log(failure.slice(0, 2_000).replaceAll(/^/gm, "       "));
    }
  }
  if (interrupted) {
    failed++;
    console.log("Interrupted: the rest did not run");
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
