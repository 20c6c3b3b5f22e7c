/**
 * Help in a terminal that is narrower than the texts, which would break their
 * lines within words.
 *
 * @module
 */

/** What the texts are written for. */
const WIDTH = 80;

/** So much of a line may be left empty before what goes on below. */
const MOST_LEFT = 0.6;

/** How far what follows a line is indented where its own column is too far right. */
const HANGING = 4;

/** Text that is broken anew: what stands in the first line, and in the others. */
interface Item {
  readonly indent: number;
  /** Of `WORD  meaning`, the word; else empty. */
  readonly term: string;
  /** Where the meaning begins, and its further lines do. */
  readonly column: number;
  readonly words: string[];
}

/**
 * A help text for a terminal of so many columns; null if it is none. Its lines are
 * broken between words, and go on below where they began. Examples and JSON stay
 * as they are, for whoever copies them.
 */
export function narrowed(text: string, columns: number | null): string {
  // A terminal that nobody has told its size has 0.
  if (!columns || columns >= WIDTH) return text;
  return text.split("\n\n").map((block) => {
    if (/^Examples:|^ +[{"]/m.test(block)) return block;
    return itemsOf(block.split("\n")).map((item) => broken(item, columns))
      .join("\n");
  }).join("\n\n");
}

function itemsOf(lines: readonly string[]): Item[] {
  const items: Item[] = [];
  for (const line of lines) {
    const [, spaces, term, gap, rest] = /^( *)(?:(-.*?|\S.*?)( {2,}))?(.*)$/
      .exec(line)!;
    const indent = spaces.length;
    const before = items.at(-1);
    const words = rest.split(" ").filter((word) => word !== "");
    if (
      term === undefined && before !== undefined && words.length > 0 &&
      before.words.length > 0 && indent === before.column
    ) {
      before.words.push(...words);
    } else {
      const column = indent + (term === undefined ? 0 : (term + gap).length);
      items.push({ indent, term: term ?? "", column, words });
    }
  }
  return items;
}

function broken(
  { indent, term, column, words }: Item,
  columns: number,
): string {
  const isFar = column > columns * MOST_LEFT;
  const hanging = " ".repeat(isFar ? indent + HANGING : column);
  const first = " ".repeat(indent) + term;
  const lines = [term === "" ? first : first.padEnd(isFar ? 0 : column)];
  let isFresh = term === "" || !isFar;
  for (const word of words) {
    const line = lines[lines.length - 1];
    const between = isFresh
      ? ""
      : lines.length === 1 && term === line.trim()
      ? "  "
      : " ";
    if (!isFresh && line.length + between.length + word.length > columns) {
      lines.push(hanging + word);
    } else lines[lines.length - 1] = line + between + word;
    isFresh = false;
  }
  return lines.map((line) => line.trimEnd()).join("\n");
}
