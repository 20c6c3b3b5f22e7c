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
    // One more than most machines in automation have cores: tests wait a lot.
    maxWorkers: 3,
    // What waits for a condition gives up before; a busy machine is no failure.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
  },
});
