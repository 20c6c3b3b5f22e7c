/**
 * The three runtimes, and how to start the command line in each of them from
 * whichever one this is.
 *
 * @module
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** A runtime that the suite covers. */
export type Runtime = "node" | "deno" | "bun";

/** All of them, for a client × server matrix. */
export const RUNTIMES: readonly Runtime[] = ["node", "deno", "bun"];

/** The directory that holds package.json. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** The runtime that this very code runs in. */
export const THIS_RUNTIME: Runtime = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "node";

/**
 * Whether it is this runtime's turn with one of many cases in which core alone
 * is tried, in memory: over the three runs of the suite all of them are.
 */
export function isOurs(index: number): boolean {
  return index % RUNTIMES.length === RUNTIMES.indexOf(THIS_RUNTIME);
}

/** What Deno must be allowed for `limpet serve` and `limpet demo`. */
export const DENO_SERVE_FLAGS: readonly string[] = [
  "--allow-net",
  "--allow-run",
  "--allow-env",
  "--allow-read",
  "--allow-write",
  "--allow-sys=uid",
];

/** The path of a runtime's own program, started without any shim in between. */
export function program(runtime: Runtime): string {
  // Set by the runner: the Node that started it, whatever runs this file.
  if (runtime === "node") return process.env.LIMPET_TEST_NODE ?? "node";
  const exe = process.platform === "win32" ? `${runtime}.exe` : runtime;
  const modules = join(ROOT, "test", "node_modules");
  // npm has installed the one platform package that fits this machine.
  const scope = join(modules, runtime === "deno" ? "@deno" : "@oven");
  for (const name of existsSync(scope) ? readdirSync(scope) : []) {
    const inside = runtime === "deno" ? [name, exe] : [name, "bin", exe];
    const path = join(scope, ...inside);
    if (existsSync(path)) return path;
  }
  throw new Error(`No ${runtime} in ${scope}; npm test installs it`);
}

/**
 * The beginning of an argument list that starts the command line in a runtime:
 * `[...cli("deno"), "exec", target, "--", "true"]`. Node and Bun run what was
 * built, Deno runs the sources.
 */
export function cli(
  runtime: Runtime,
  denoFlags: readonly string[] = DENO_SERVE_FLAGS,
): string[] {
  if (runtime !== "deno") {
    return [program(runtime), join(ROOT, "dist", "limpet.cjs")];
  }
  return [
    program("deno"),
    "run",
    "--quiet",
    "--no-prompt",
    `--config=${join(ROOT, "deno.json")}`,
    ...denoFlags,
    join(ROOT, "adapters", "deno", "main.ts"),
  ];
}
