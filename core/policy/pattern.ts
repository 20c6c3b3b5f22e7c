/**
 * Patterns of argument lists: one pattern for each word.
 *
 * In a pattern `*` stands for any characters, also none, and `?` for any one;
 * `\` takes the meaning from what follows it. In the first word, the program,
 * neither stands for a `/`. `**` as the last word stands for any further words,
 * also none. All else is itself: words are compared as the client sent them, so
 * that `ls` is not `/bin/ls`, and `/srv/*` is also `/srv/../etc/passwd`.
 *
 * @module
 */

/** Stands for the rest. */
const REST = "**";

/** Why a pattern cannot be used; null if it can. */
export function patternProblem(pattern: readonly string[]): string | null {
  const at = pattern.indexOf(REST);
  if (pattern.length === 0) return "is empty";
  if (pattern[0] === "") return "names no program";
  if (at >= 0 && at < pattern.length - 1) return "has ** before its last word";
  if (pattern.some((word) => /(^|[^\\])(\\\\)*\\$/.test(word))) {
    return "has a \\ at the end of a word";
  }
  return null;
}

/** Whether an argument list is one of those that the pattern allows. */
export function matches(
  pattern: readonly string[],
  argv: readonly string[],
): boolean {
  if (patternProblem(pattern) !== null) return false;
  const isOpen = pattern[pattern.length - 1] === REST;
  const words = isOpen ? pattern.slice(0, -1) : pattern;
  if (isOpen ? argv.length < words.length : argv.length !== words.length) {
    return false;
  }
  return words.every((word, i) => matchesWord(word, argv[i], i === 0));
}

/**
 * Only the last `*` is ever gone back to, which is enough and takes time within
 * the product of both lengths. One that may not cross a `/` stops at the first.
 */
function matchesWord(
  pattern: string,
  text: string,
  isProgram: boolean,
): boolean {
  const units = readWord(pattern);
  let at = 0;
  let back = -1;
  let from = 0;
  let i = 0;
  while (i < text.length) {
    const unit = units[at];
    const char = text[i];
    if (unit === ANY) {
      back = at++;
      from = i;
    } else if (unit === ONE ? !isProgram || char !== "/" : unit === char) {
      at++;
      i++;
    } else if (back >= 0 && !(isProgram && text[from] === "/")) {
      at = back + 1;
      i = ++from;
    } else {
      return false;
    }
  }
  while (units[at] === ANY) at++;
  return at === units.length;
}

/** No text has these as one character. */
const ANY = "any";
const ONE = "one";

function readWord(pattern: string): string[] {
  const units: string[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === "\\") units.push(pattern[++i]);
    else if (char === "*") units.push(ANY);
    else if (char === "?") units.push(ONE);
    else units.push(char);
  }
  return units;
}
