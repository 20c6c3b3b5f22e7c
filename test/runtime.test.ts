import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { program, RUNTIMES, THIS_RUNTIME } from "./support/runtimes.ts";

test("the suite runs in the runtime that the runner says it does", () => {
  const { LIMPET_TEST_RUNTIME } = process.env;
  if (LIMPET_TEST_RUNTIME === undefined) return; // plain `vitest run`
  expect(THIS_RUNTIME).toBe(LIMPET_TEST_RUNTIME);
});

test.each(RUNTIMES)("%s can be started from here", async (runtime) => {
  const code =
    "console.log('Deno' in globalThis ? 'deno' : 'Bun' in globalThis ? 'bun' : 'node')";
  const args = runtime === "deno" ? ["eval", code] : ["-e", code];
  const { stdout } = await promisify(execFile)(program(runtime), args);
  expect(stdout.trim()).toBe(runtime);
});
