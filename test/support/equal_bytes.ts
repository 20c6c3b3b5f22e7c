/**
 * Bytes that are the same, seen at a glance: vitest looks at each of them as at
 * an object of its own, and takes seconds for what a command has written.
 *
 * @module
 */

import { expect } from "vitest";

expect.addEqualityTesters([(a: unknown, b: unknown) => {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return undefined;
  if (a.constructor !== b.constructor || a.length !== b.length) {
    return undefined;
  }
  // What differs is vitest's to tell.
  return a.every((byte, at) => byte === b[at]) || undefined;
}]);
