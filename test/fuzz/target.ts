/**
 * What can be attacked.
 *
 * @module
 */

import type { Prng } from "./prng.ts";
import type { Script } from "./script.ts";

/** One kind of victim; `Case` is the script and what the victim does meanwhile. */
export interface Target<Case extends Script = Script> {
  /** How often it came to what: shows that the cases get anywhere. */
  readonly reached: Map<string, number>;
  /** Makes up a case. */
  make(rng: Prng): Case;
  /** Runs it. Resolves to what went wrong: nothing, as a rule. */
  run(one: Case): Promise<string[]>;
  /** Gives back what it holds. */
  close(): Promise<void>;
}

/** Counts one more. */
export function count(reached: Map<string, number>, what: string): void {
  reached.set(what, (reached.get(what) ?? 0) + 1);
}
