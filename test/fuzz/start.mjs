/**
 * `npm run fuzz`: Node 20 takes no TypeScript, so it is bundled first.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
// Two folders down, as what is bundled: it looks for the vectors from there.
const folder = join(root, "node_modules", `.limpet-fuzz-${process.pid}`);
const outfile = join(folder, "main.mjs");

process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
await build({
  absWorkingDir: root,
  entryPoints: [join(root, "test", "fuzz", "main.ts")],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  sourcemap: "inline",
  external: ["iconv-lite"],
  alias: {
    "@std/streams": join(root, "node_modules/deno-std/streams/mod.js"),
  },
  logLevel: "warning",
});
process.setSourceMapsEnabled(true);
await import(pathToFileURL(outfile).href);
