/**
 * How flags are shown.
 *
 * @module
 */

import type { Flag } from "../args.ts";

/** The section of a help text that lists them. */
export function flagTable(flags: readonly Flag[]): string {
  const rows = flags.filter((flag) => flag.refused === undefined).map(
    (flag) => {
      const short = flag.short === undefined ? "    " : `-${flag.short}, `;
      const value = flag.value === undefined ? "" : ` ${flag.value}`;
      return `  ${`${short}--${flag.name}${value}`.padEnd(28)} ${flag.help}\n`;
    },
  );
  return `\nFlags:\n${rows.join("")}`;
}
