/**
 * Attempts that overlap. One that comes to nothing without a word (its packets
 * vanish, and nobody says so) is not waited for until its time is over: after a
 * short patience another one begins beside it, as in RFC 8305.
 *
 * @module
 */

import { deferred } from "../deferred.ts";

/** So many go on at once. */
const MOST_AT_ONCE = 3;

/** What is attempted, and when. */
export interface Attempting {
  /**
   * Makes one; resolves when it has succeeded, and gives up when `own` is
   * aborted. Before what must not be done by two at once it calls `alone`, which
   * gives all others up, or returns false if it is given up itself.
   */
  attempt(own: AbortController, alone: () => boolean): Promise<void>;
  /** How long to wait before that attempt, in ms; the second is number 2. */
  pauseMs(attempt: number): number;
  /** How long one is waited for alone, in ms. */
  readonly patienceMs: number;
  /** How long one is waited for alone at most, in ms. */
  readonly mostPatienceMs: number;
  /** Whether another attempt may still succeed after that error. */
  mayGoOn(error: unknown): boolean;
}

/** How it came out. */
export interface Outcome {
  /** How many there were. */
  readonly attempts: number;
  /** Which of them succeeded, from 1; null if none did. */
  readonly succeeded: number | null;
  /** Why none did. */
  readonly error?: unknown;
}

/**
 * Makes attempts until one succeeds or another would be of no use. One that fails
 * is followed by the next after a pause; beside one of which nothing is heard, the
 * next begins after a patience. That doubles with each that has called `alone`:
 * nothing but another such call ends it, so however long its answer takes, one is
 * waited for in the end. Never rejects.
 */
export function overlapping(
  { attempt, pauseMs, patienceMs, mostPatienceMs, mayGoOn }: Attempting,
  stop: AbortSignal,
): Promise<Outcome> {
  const { promise, resolve } = deferred<Outcome>();
  const underWay = new Set<AbortController>();
  let attempts = 0;
  let patience = patienceMs;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** One is to begin as soon as there are not too many. */
  let isDue = false;

  const beginIn = (ms: number) => {
    clearTimeout(timer);
    isDue = false;
    timer = setTimeout(begin, Math.min(ms, 0x7fff_ffff));
  };
  const giveUp = (except?: AbortController) => {
    for (const own of underWay) {
      if (own === except) continue;
      underWay.delete(own);
      own.abort();
    }
  };
  const end = (succeeded: number | null, error?: unknown) => {
    clearTimeout(timer);
    stop.removeEventListener("abort", stopped);
    giveUp();
    resolve({ attempts, succeeded, error });
  };
  const stopped = () => end(null, stop.reason);

  const begin = () => {
    isDue = underWay.size >= MOST_AT_ONCE;
    if (isDue) return;
    const number = ++attempts;
    const own = new AbortController();
    underWay.add(own);
    beginIn(patience);
    const alone = () => {
      if (!underWay.has(own)) return false;
      giveUp(own);
      beginIn(patience);
      patience = Math.min(patience * 2, mostPatienceMs);
      return true;
    };
    const failed = (error: unknown) => {
      // One that was given up has nothing to say.
      if (!underWay.delete(own)) return;
      if (!mayGoOn(error)) end(null, error);
      else if (isDue) begin();
      // Of an older one it is no news: others are under way.
      else if (number === attempts || underWay.size === 0) {
        beginIn(pauseMs(attempts + 1));
      }
    };
    attempt(own, alone).then(() => underWay.delete(own) && end(number), failed);
  };

  stop.addEventListener("abort", stopped);
  if (stop.aborted) stopped();
  else begin();
  return promise;
}
