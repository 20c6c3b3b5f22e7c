/**
 * Counts in words.
 *
 * @module
 */

/** `1 command`, `2 commands`; `plural` for what does not just get an s. */
export function counted(
  count: number,
  noun: string,
  plural: string = `${noun}s`,
): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
