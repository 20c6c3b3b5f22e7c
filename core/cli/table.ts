/**
 * Tables for people.
 *
 * @module
 */

/** What is cut keeps so many characters. */
const LEAST_WIDTH = 8;

/**
 * Rows in columns, the headings among them. Where they are wider than the
 * terminal (`columns`; null if it is none, and all is whole), cells of these
 * columns are cut, those of the first as far as need be before the next: a line
 * that a terminal breaks anywhere is no row any more.
 */
export function tableText(
  rows: readonly (readonly string[])[],
  columns: number | null,
  mayBeCut: readonly number[],
): string {
  const widths = rows[0].map((_, i) =>
    Math.max(...rows.map((row) => row[i].length))
  );
  const between = 2 * (widths.length - 1);
  const whole = widths.reduce((sum, width) => sum + width, between);
  // A terminal that nobody has told its size has 0.
  let over = whole - (columns || Infinity);
  for (const i of mayBeCut) {
    const cut = Math.max(0, Math.min(over, widths[i] - LEAST_WIDTH));
    widths[i] -= cut;
    over -= cut;
  }
  const cells = (row: readonly string[]) =>
    row.map((cell, i) =>
      (cell.length > widths[i] ? `${cell.slice(0, widths[i] - 1)}…` : cell)
        .padEnd(widths[i])
    );
  return rows.map((row) => `${cells(row).join("  ").trimEnd()}\n`).join("");
}
