/**
 * What somebody may have meant who wrote something else.
 *
 * @module
 */

/**
 * Candidates at most two edits away from `word`, the nearest first; and at most
 * half of their length, for nobody who writes "ls" means "lab".
 */
export function nearest(
  word: string,
  candidates: readonly string[],
): string[] {
  return candidates
    .map((name) => ({ name, distance: editDistance(word, name) }))
    .filter(({ name, distance }) => distance < 3 && distance <= name.length / 2)
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }) => name);
}

/** Letters added, left out, replaced, or two that changed places. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(
        next[j - 1] + 1,
        row[j] + 1,
        row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        next[j] = Math.min(next[j], before[j - 2] + 1);
      }
    }
    before = row;
    row = next;
  }
  return row[b.length];
}
