/**
 * The leak check for a file of tests; `leaks.ts` does without vitest, for fuzzing by
 * hand.
 *
 * @module
 */

import { afterEach, beforeAll } from "vitest";
import { checkLeaks, type LeakCheck } from "./leaks.ts";

/**
 * Checks after each test of the enclosing block that nothing of it is left. The
 * baseline is taken once, after `warm` has had the runtime open what it opens at
 * first use and keeps. Returns the check, for whoever cannot wait until then.
 */
export function useLeakCheck(warm: () => unknown = () => {}): LeakCheck {
  let noLeaks: LeakCheck;
  beforeAll(async () => {
    await warm();
    noLeaks = checkLeaks();
  });
  afterEach(async () => {
    try {
      await noLeaks();
    } catch (error) {
      // What is left is told once, and not waited for after every other test.
      noLeaks = checkLeaks();
      throw error;
    }
  });
  return () => noLeaks();
}
