/**
 * What vitest runs before each file. Files share processes: what one of them has
 * started must not be there for the next.
 *
 * @module
 */

import { afterAll, afterEach } from "vitest";
import { endPrograms } from "./cli.ts";
import { childProcesses, eventually } from "./leaks.ts";

afterEach(endPrograms);
// Begun first, and so the last to be done: after all that the file itself ends.
afterAll(async () => {
  await eventually(
    () => childProcesses().length === 0,
    () => `no processes are left: [${childProcesses()}]`,
  );
});
