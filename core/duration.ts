/**
 * Times as people write them.
 *
 * @module
 */

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * `30s`, `500ms`, `2m`, `1h`, `1.5s`, as milliseconds. Null for what is none of
 * these, or longer than the 24 days that a timer can wait.
 */
export function readDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) return null;
  const ms = Math.round(Number(match[1]) * UNITS[match[2]]);
  return ms <= 0x7fff_ffff ? ms : null;
}
