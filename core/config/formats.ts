/**
 * The formats that the schema names: what a pattern alone cannot tell.
 *
 * @module
 */

import { readPublicKey } from "../auth/key_pair.ts";
import { readDuration } from "../duration.ts";
import { entryProblem } from "../policy/environment.ts";
import { readSource } from "./source.ts";

/** Whether a text is of a format. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  "date-time": (text) => readTime(text) !== null,
  "time-span": (text) => (readDuration(text) ?? 0) > 0,
  "time-span-or-off": (text) => text === "off" || (readDuration(text) ?? 0) > 0,
  "time-span-or-none": (text) => readDuration(text) !== null,
  "ed25519-public-key": (text) => readPublicKey(text) !== null,
  "source": (text) => readSource(text) !== null,
  "policy-variable": (text) => entryProblem(text) === null,
};

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** A time of RFC 3339 in milliseconds since 1970; null if it is none. */
export function readTime(text: string): number | null {
  const [, year, month, day] = RFC_3339.exec(text) ?? [];
  // `Date` takes February 30th for March 2nd.
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  const ms = Date.parse(text.toUpperCase());
  return Number(day) >= 1 && Number(day) <= days && !Number.isNaN(ms)
    ? ms
    : null;
}
