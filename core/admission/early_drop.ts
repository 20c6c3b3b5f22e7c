/**
 * Random early drop: which of too many unproved connections to let in.
 *
 * @module
 */

/** What {@linkcode dropsEarly} keeps to. */
export interface EarlyDropLimits {
  readonly earlyDropStart: number;
  readonly earlyDropPercent: number;
  readonly maxUnauthenticated: number;
}

/**
 * Whether to drop one more connection when there are `unauthenticated` already;
 * `random` is from 0 up to 1. The chance grows in a straight line from
 * `earlyDropPercent` at `earlyDropStart` to 100 % at `maxUnauthenticated`.
 */
export function dropsEarly(
  unauthenticated: number,
  limits: EarlyDropLimits,
  random: number,
): boolean {
  const { earlyDropStart, earlyDropPercent, maxUnauthenticated } = limits;
  if (unauthenticated >= maxUnauthenticated) return true;
  if (unauthenticated < earlyDropStart) return false;
  const way = (unauthenticated - earlyDropStart) /
    (maxUnauthenticated - earlyDropStart);
  const percent = earlyDropPercent + (100 - earlyDropPercent) * way;
  return random * 100 < percent;
}
