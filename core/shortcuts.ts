/**
 * What core does without a duplex's web streams, where the adapter can.
 *
 * @module
 */

import type { Duplex } from "./ports.ts";

/** Members of a {@linkcode Duplex} that stand for what its streams do. */
export type Shortcuts = Pick<Duplex, "getReader" | "writev" | "end">;

/**
 * Adds them to a duplex, but not to copies of it: in `{ ...duplex, readable }`
 * somebody has put a stream of their own in front, which they would pass by.
 */
export function withShortcuts(duplex: Duplex, shortcuts: Shortcuts): Duplex {
  for (const [name, value] of Object.entries(shortcuts)) {
    Object.defineProperty(duplex, name, { value });
  }
  return duplex;
}
