/**
 * Installs and builds what is out of date, and nothing else. Run by `npm start`,
 * `npm test` and `npm pack`; writes to stderr only.
 *
 * Out of date is a question of content: a stamp beside the result holds the hash
 * of what it was made from. Finding nothing to do takes a few milliseconds.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The directory that holds package.json. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The program that `limpet` is after a build. */
export const cli = join(root, "dist", "limpet.cjs");

/**
 * @param {string[]} parts
 * @returns {string}
 */
function hash(parts) {
  const sha = createHash("sha256");
  for (const part of parts) sha.update(`${part.length}:`).update(part);
  return sha.digest("hex");
}

/**
 * @param {string} path
 * @returns {string | null} null when there is no such file
 */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/**
 * Runs a Node program with its output on our stderr, and says every few seconds
 * that it is still at it.
 *
 * @param {string} what
 * @param {string} program
 * @param {string[]} args
 * @param {string} cwd
 */
async function run(what, program, args, cwd) {
  const { spawn } = await import("node:child_process");
  const started = Date.now();
  process.stderr.write(`limpet: ${what} …\n`);
  const ticker = setInterval(() => {
    const seconds = Math.round((Date.now() - started) / 1000);
    process.stderr.write(`limpet: still ${what} (${seconds} s)\n`);
  }, 5000);
  try {
    await /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
      const shell = program === "npm" && process.platform === "win32";
      spawn(program, args, { cwd, shell, stdio: ["ignore", 2, 2] })
        .on("error", reject)
        .on("exit", (code, signal) => {
          if (code === 0) return resolve();
          reject(new Error(`Failed ${what}: ${signal ?? `exit code ${code}`}`));
        });
    }));
  } finally {
    clearInterval(ticker);
  }
}

/**
 * Installs what the lock file of a directory says, unless that is there already.
 *
 * @param {string} directory
 * @param {string} what for the message
 */
export async function install(directory, what) {
  const stamp = join(directory, "node_modules", ".limpet-stamp");
  const wanted = hash([
    // It holds what package.json asks for, and npm sees to it that they agree.
    read(join(directory, "package-lock.json")) ?? "",
    `${process.platform} ${process.arch}`,
  ]);
  if (read(stamp) === wanted) return;
  // No package here needs its install script: the binaries are in the packages.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  args.push("--loglevel=error");
  const npm = process.env.npm_execpath;
  // npm itself is to run this, and not some other package manager that set it.
  if (npm !== undefined && /npm-cli\.[cm]?js$/.test(npm)) {
    await run(
      `installing ${what}`,
      process.execPath,
      [npm, ...args],
      directory,
    );
  } else {
    await run(`installing ${what}`, "npm", args, directory);
  }
  writeFileSync(stamp, wanted);
}

/** Builds `dist/`, unless it is what these sources give. */
export async function build() {
  const parts = [read(join(root, "package-lock.json")) ?? ""];
  for (const directory of ["core", "adapters"]) {
    const names = readdirSync(join(root, directory), { recursive: true });
    for (const name of names.map(String).sort()) {
      if (!/\.(ts|json)$|build\.mjs$|_program\.(mjs|py)$/.test(name)) continue;
      parts.push(name, read(join(root, directory, name)) ?? "");
    }
  }
  const wanted = hash(parts);
  const stamp = join(root, "dist", ".stamp");
  if (existsSync(cli) && read(stamp) === wanted) return;
  const program = fileURLToPath(new URL("build.mjs", import.meta.url));
  await run("building", process.execPath, [program], root);
  writeFileSync(stamp, wanted);
}

/** Brings everything that the program needs up to date. */
export async function setUp() {
  await install(root, "the build tools");
  await build();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await setUp();
  } catch (error) {
    process.stderr.write(`limpet: ${error}\n`);
    process.exitCode = 1;
  }
}
