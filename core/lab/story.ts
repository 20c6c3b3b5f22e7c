/**
 * Tells a reader what happens, as it happens.
 *
 * @module
 */

import type { TextKey, Texts } from "./texts/en.ts";
import { widthOf, wrap } from "./wrap.ts";

/** What stands for `{name}` in a text. */
export type Values = Readonly<Record<string, string | number>>;

/** Where a story is told, and how. */
export interface StoryOptions {
  readonly texts: Texts;
  /** Gets whole lines. */
  readonly write: (text: string) => void;
  readonly columns: number;
  readonly color: boolean;
}

/** Columns beyond which a line is hard to read, however wide the terminal. */
const WIDEST = 80;
const NARROWEST = 20;

/** See the module's description. */
export class Story {
  readonly #options: StoryOptions;
  readonly #columns: number;

  constructor(options: StoryOptions) {
    this.#options = options;
    this.#columns = Math.max(NARROWEST, Math.min(options.columns, WIDEST));
  }

  /** What an experiment is called, underlined. */
  title(key: TextKey): void {
    const text = this.text(key);
    const rule = "─".repeat(Math.min(widthOf(text), this.#columns));
    this.#lines("1", wrap(text, this.#columns));
    this.#lines("2", [rule]);
  }

  /** A paragraph of explanation. */
  say(key: TextKey, values: Values = {}): void {
    this.#lines(null, ["", ...wrap(this.text(key, values), this.#columns)]);
  }

  /** A line of what was measured. */
  show(key: TextKey, values: Values = {}): void {
    const lines = wrap(this.text(key, values), this.#columns - 4, "  ");
    this.#lines("36", lines.map((line) => `    ${line}`));
  }

  /** A finding: it is so, or it is not. */
  verdict(good: boolean, key: TextKey, values: Values = {}): void {
    const mark = good ? "✓" : "✗";
    const lines = wrap(this.text(key, values), this.#columns - 2);
    this.#lines(good ? "32" : "31", [
      `${mark} ${lines[0]}`,
      ...lines.slice(1).map((line) => `  ${line}`),
    ]);
  }

  /**
   * Rows of cells, each column as wide as its widest cell needs. In a row that
   * is too wide the last cell goes on a line below; in all of them, if `alike`.
   */
  table(rows: readonly (readonly string[])[], alike = false): void {
    const widths = rows[0].map((_, at) =>
      Math.max(...rows.map((row) => widthOf(row[at])))
    );
    const padded = rows.map((row) =>
      row.map((cell, at) => cell + " ".repeat(widths[at] - widthOf(cell)))
    );
    const tooWide = padded.map((cells) =>
      widthOf(inLine(cells)) > this.#columns
    );
    const below = alike && tooWide.includes(true);
    for (const [at, cells] of padded.entries()) {
      const lines = below || tooWide[at]
        ? wrapCells(cells, this.#columns)
        : [inLine(cells)];
      this.#lines(null, lines);
    }
  }

  /** An empty line. */
  gap(): void {
    this.#lines(null, [""]);
  }

  /** A text with its values filled in. */
  text(key: TextKey, values: Values = {}): string {
    return this.#options.texts[key].replace(
      /\{(\w+)\}/g,
      (whole, name: string) => {
        const value = values[name];
        if (typeof value === "number") return grouped(value);
        return value ?? whole;
      },
    );
  }

  /** A value for a text; or, in words, that nobody knows it. */
  known(value: string | number | null): string | number {
    return value ?? this.text("unknown");
  }

  #lines(color: string | null, lines: readonly string[]): void {
    const { color: colored, write } = this.#options;
    for (const line of lines) {
      const plain = color === null || !colored || line === "";
      write(plain ? `${line}\n` : `\x1b[${color}m${line}\x1b[0m\n`);
    }
  }
}

function inLine(cells: readonly string[]): string {
  return cells.join("  ").trimEnd();
}

/** A row with its last cell on a line below. */
function wrapCells(cells: readonly string[], columns: number): string[] {
  const last = cells[cells.length - 1].trim();
  const head = inLine(cells.slice(0, -1));
  return [
    // In line with the rows above, as long as there is room.
    ...(widthOf(head) <= columns ? [head] : wrap(head, columns)),
    ...wrap(last, columns - 2).map((each) => `  ${each}`),
  ];
}

/** 4264960 as `4,264,960`, and 1024 as it stands. */
export function grouped(value: number): string {
  if (value < 10_000) return String(value);
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}
