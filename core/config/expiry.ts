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

/** What an end was read as: a time of RFC 3339, or why that cannot be. */
export type Expiry =
  | { readonly at: string; readonly why: null }
  | { readonly at: null; readonly why: string };

/**
 * Reads `90s`, `90m`, `12h`, `30d` or `2w` from `now` on, a day (`2027-01-31`, its
 * beginning in UTC) or a time of RFC 3339.
 */
export function readExpiry(text: string, now: number): Expiry {
  const [, count, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  const time = count !== undefined
    ? now + Number(count) * UNITS[unit]
    : readTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (time === null) return refused("is neither a span of time nor a date");
  if (time <= now) return refused("is over already");
  const iso = new Date(time).toISOString();
  // RFC 3339 has no others.
  if (iso.startsWith("+")) return refused("is after the year 9999");
  return { at: iso.replace(/\.\d+Z$/, "Z"), why: null };
}

function refused(why: string): Expiry {
  return { at: null, why };
}
