/**
 * Subcommands of subcommands: `config check`, `token add`.
 *
 * @module
 */

import { nearest } from "../nearest.ts";
import { usageError } from "./args.ts";

/** Throws unless the word is one of the subcommand's actions. */
export function checkAction(
  command: string,
  action: string | undefined,
  actions: readonly string[],
): void {
  if (action !== undefined && actions.includes(action)) return;
  const there = actions.join(", ");
  if (action === undefined) {
    throw usageError(`${command} needs one of ${there}`);
  }
  const [near] = nearest(action, actions);
  const hint = near === undefined
    ? `: there are ${there}`
    : `. Did you mean ${near}?`;
  throw usageError(`There is no "${command} ${action}"${hint}`);
}
