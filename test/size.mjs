/**
 * How large the core is for those who embed it: what a bundler makes of one
 * import, minified and gzipped, in one file: what it would load later, by
 * `import()`, counts as well. Prints a table; `npm test` compares it with the
 * README, which names a bound, so that not every change has to touch it.
 *
 *     npm run size
 *
 * @module
 */

import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build as bundle } from "esbuild";
import { root, setUp } from "../adapters/node/setup.mjs";

/** What somebody imports, by what it is for. */
export const IMPORTS = {
  "a client": `export { connect } from "limpet"`,
  "a server": `export { Server } from "limpet"`,
  "everything": `export * from "limpet"`,
};

/**
 * @param {string} code of a module
 * @returns {Promise<{ minified: number, gzipped: number, text: string }>} bytes
 */
export async function sizeOf(code) {
  const { outputFiles: [{ contents, text }] } = await bundle({
    stdin: { contents: code, resolveDir: root },
    alias: { limpet: join(root, "dist", "mod.js") },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "neutral",
    legalComments: "none",
    // Chunks without side effects, which it leaves out, are not worth a warning.
    logLevel: "error",
  });
  const gzipped = gzipSync(contents, { level: 9 }).byteLength;
  return { minified: contents.byteLength, gzipped, text };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setUp();
  for (const [name, code] of Object.entries(IMPORTS)) {
    const { minified, gzipped } = await sizeOf(code);
    console.log(
      `${name.padEnd(12)} ${kilobytes(minified)} minified, ` +
        `${kilobytes(gzipped)} gzipped`,
    );
  }
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1).padStart(5)} kB`;
}
