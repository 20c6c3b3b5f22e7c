/**
 * When something ends, as people say it on a command line.
 *
 * @module
 */

import { readTime } from "./formats.ts";

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * `90s`, `90m`, `12h`, `30d` or `2w` from `now` on, a day (`2027-01-31`, its beginning
 * in UTC) or a time of RFC 3339; as a time of RFC 3339. Null for what is none of
 * these, and for what is over already.
 */
export function readExpiry(text: string, now: number): string | null {
  const [, count, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  const time = count !== undefined
    ? now + Number(count) * UNITS[unit]
    : readTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (time === null || time <= now) return null;
  const iso = new Date(time).toISOString();
  // Years above 9999 are not for RFC 3339.
  return iso.startsWith("+") ? null : iso.replace(/\.\d+Z$/, "Z");
}
