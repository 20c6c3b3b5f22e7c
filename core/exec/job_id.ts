/**
 * What jobs are called: by the client, or by the server.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Fields } from "../frame/control.ts";
import { printable } from "../printable.ts";

/** Not the path of anything, and no flag either. */
const JOB_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

/** Crockford's base 32: no two of them look alike. */
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";

/** Milliseconds of 2026-01-01, from which the servers' own ids count. */
const EPOCH_MS = 1_767_225_600_000;

const TIME_DIGITS = 8;
const RANDOM_DIGITS = 4;

/** Throws `invalid_argument` unless it can be the id of a job. */
export function checkJobId(id: string): void {
  if (JOB_ID.test(id)) return;
  const shown = printable(JSON.stringify(id.slice(0, 80)));
  throw new LimpetError(
    "invalid_argument",
    `${shown} cannot be the id of a job: 1 to 64 of A-Z a-z 0-9 . _ -, of ` +
      "which . and - are not the first",
  );
}

/** The id in that field. Throws `protocol_error` if it cannot be one. */
export function jobIdIn(fields: Fields, name: string): string {
  const id = fields.text(name, 64);
  if (JOB_ID.test(id)) return id;
  throw fields.wrong(name, "the id of a job");
}

/** A new id of 12 characters. Later ones sort behind earlier ones. */
export function makeJobId(now: number = Date.now()): string {
  let time = Math.max(0, now - EPOCH_MS);
  let digits = "";
  for (let i = 0; i < TIME_DIGITS; i++) {
    digits = DIGITS[time % 32] + digits;
    time = Math.floor(time / 32);
  }
  // No secret: who may ask for a job by its id may list it, too.
  for (let i = 0; i < RANDOM_DIGITS; i++) {
    digits += DIGITS[Math.floor(Math.random() * 32)];
  }
  return digits;
}
