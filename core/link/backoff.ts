/**
 * When to try again.
 *
 * @module
 */

/** The second attempt waits for so long at most, in ms; each later one twice. */
const FIRST_MS = 250;

/** None waits longer, in ms. */
const MOST_MS = 5_000;

/**
 * How long to wait before that attempt, in ms; the first is number 1 and waits
 * for nothing. The rest is chance all the way down (`random` from 0 up to 1), so
 * that many clients of one server do not come back together.
 */
export function backoffMs(attempt: number, random: () => number): number {
  if (attempt <= 1) return 0;
  return random() * Math.min(MOST_MS, FIRST_MS * 2 ** (attempt - 2));
}
