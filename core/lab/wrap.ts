/**
 * Text in lines, as wide as a terminal shows them: a Chinese character takes
 * two columns, and a line of Chinese may break after almost any of them.
 *
 * @module
 */

// East Asian scripts, their punctuation, and full-width forms.
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/;

/** A line's end in the source of a Chinese text, which is no space. */
const NO_SPACE = new RegExp(
  `(?<=${WIDE.source})\\s*\\n\\s*|\\s*\\n\\s*(?=${WIDE.source})`,
  "g",
);

/** What a line must not begin with, and what it must not end with. */
const CLOSING = /^[，。、；：！？）】》]/;
const OPENING = /[（【《]$/;

/** How many columns a terminal gives the text. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) width += WIDE.test(char) ? 2 : 1;
  return width;
}

/**
 * Breaks the text into lines of at most `columns`; the second and later ones
 * are indented by `indent`. White space in the text counts as one space. A word
 * that is longer than a line is cut.
 */
export function wrap(text: string, columns: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const piece of piecesOf(text)) {
    // A space at the end of a line is not seen.
    if (line !== "" && widthOf(line + piece.trimEnd()) > columns) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += piece;
    while (widthOf(line.trimEnd()) > columns) {
      const head = headOf(line, columns);
      lines.push(head);
      line = indent + line.slice(head.length);
    }
  }
  lines.push(line.trimEnd());
  return lines;
}

/** What a line may hold or not hold, but not break. */
function piecesOf(text: string): string[] {
  const plain = text.trim().replace(NO_SPACE, "").replace(/\s+/g, " ");
  const pieces: string[] = [];
  for (const [char] of plain.matchAll(/[\s\S]/gu)) {
    const last = pieces.at(-1);
    const glued = last !== undefined && !last.endsWith(" ") && (
      CLOSING.test(char) || OPENING.test(last) || char === " " ||
      (!WIDE.test(char) && !WIDE.test(last.at(-1) ?? ""))
    );
    if (glued) pieces[pieces.length - 1] += char;
    else pieces.push(char);
  }
  return pieces;
}

/** As many characters as fit, at least one. */
function headOf(line: string, columns: number): string {
  let head = "";
  for (const char of line) {
    if (head.trim() !== "" && widthOf(head + char) > columns) break;
    head += char;
  }
  return head;
}
