/**
 * What vitest runs before each file. Files share processes: what one of them has
 * started must not be there for the next.
 *
 * @module
 */

import process from "node:process";
import { afterAll, afterEach } from "vitest";
import { endPrograms } from "./cli.ts";
import "./equal_bytes.ts";
import { eventually } from "./leaks.ts";
import { childrenOf } from "./proc.ts";

afterEach(endPrograms);
// Begun first, and so the last to be done: after all that the file itself ends.
afterAll(async () => {
  await eventually(
    () => childrenOf(process.pid).length === 0,
    () => `no processes are left: [${childrenOf(process.pid)}]`,
  );
});
