/**
 * What the benchmark needs to be there.
 *
 * @module
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../adapters/node/setup.mjs";

export { build, install, root } from "../../adapters/node/setup.mjs";

/**
 * The program inside the one platform package that npm chose.
 *
 * @param {string} scope
 * @param {string[]} inside
 */
export function binary(scope, inside) {
  const folder = join(root, "test", "node_modules", scope);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name, ...inside);
    if (existsSync(path)) return path;
  }
  throw new Error(`npm has no ${inside.at(-1)} for this platform`);
}
