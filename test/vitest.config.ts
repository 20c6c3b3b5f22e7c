import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// One configuration for all three runtimes; run.mjs starts vitest in each.
export default defineConfig({
  root: at(".."),
  resolve: {
    alias: {
      "@std/streams": at("../node_modules/deno-std/streams/mod.js"),
    },
  },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    // Processes rather than threads: tests send signals and count descriptors.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
