/**
 * Case after case, until one goes wrong.
 *
 * @module
 */

import { countTimers } from "../support/leaks.ts";
import { heldBytes } from "../support/memory.ts";
import { ClientTarget } from "./client_target.ts";
import { DecoderTarget } from "./decoder_target.ts";
import { inlineCrypto } from "./inline_crypto.ts";
import { LastingServerTarget } from "./lasting_server_target.ts";
import { minimise } from "./minimise.ts";
import { settle } from "./player.ts";
import { Prng } from "./prng.ts";
import { Hang, watchEscapes, watchQueues } from "./problems.ts";
import { RawClientTarget } from "./raw_client_target.ts";
import { RawServerTarget } from "./raw_server_target.ts";
import { describeScript, type Script } from "./script.ts";
import { ServerTarget } from "./server_target.ts";
import type { Target } from "./target.ts";
import { turnClock } from "./turn_clock.ts";

/** What can be attacked, by name. */
export const TARGETS = {
  server: () => new ServerTarget(),
  client: () => new ClientTarget(),
  "lasting-server": () => new LastingServerTarget(),
  "lasting-client": () => new ClientTarget(true),
  decoder: () => new DecoderTarget(),
  "raw-server": () => new RawServerTarget(),
  "raw-client": () => new RawClientTarget(),
} as const;

/** How long a timer may still run when its case is over: SIGKILL comes after 5 s. */
const SOON_MS = 8_000;

/** One of {@linkcode TARGETS}. */
export type TargetName = keyof typeof TARGETS;

/** What is to be run. */
export interface Run {
  readonly target: TargetName;
  readonly seed: number;
  /** Number of the first case. */
  readonly from: number;
  readonly cases: number;
  /** Fewer cases than that, if they take longer. In milliseconds. */
  readonly ms?: number;
  /** Told now and then how many are done. */
  readonly progress?: (done: number) => void;
}

/** A case that went wrong. */
export interface Finding {
  readonly target: TargetName;
  readonly seed: number;
  readonly number: number;
  readonly problems: readonly string[];
  /** The shortest script found that goes wrong in the same way. */
  readonly script: Script;
}

/** What a run came to. */
export interface Outcome {
  /** Null if nothing went wrong. */
  readonly finding: Finding | null;
  /** How many were run. */
  readonly cases: number;
  /** See `Target.reached`. */
  readonly reached: ReadonlyMap<string, number>;
}

/** After so many cases what is held is as much as it will ever be. */
const WARM_UP = 10_000;
/** The window of every stream, and all that the windows of a session may grow by. */
const MAX_QUEUED_BYTES = 2_048 + 14_336;
/** How often memory is looked at. */
const MEMORY_EVERY = 50_000;
/** What may come on top of that. */
const MAX_GROWTH_BYTES = 24 * 1_048_576;
/** Each is waited for. */
const MAX_HANGS = 50;
const PROGRESS_EVERY = 500;

/**
 * Runs them, up to the first that goes wrong. Rejects if memory grows, which is
 * no single case's fault.
 */
export async function fuzz(run: Run): Promise<Outcome> {
  using _ = inlineCrypto();
  using _clock = turnClock();
  // Errors are what it makes most of, and their traces are most of an error.
  Error.stackTraceLimit = 5;
  using escapes = watchEscapes();
  using queues = watchQueues(MAX_QUEUED_BYTES);
  using timers = countTimers();
  let target = open(run.target);
  let held: number | null = null;
  const started = performance.now();
  let done = 0;
  const problemsOf = async (one: Script) => {
    const problems: string[] = [];
    const pending = timers.pending;
    try {
      problems.push(...await target.run(one));
    } catch (error) {
      problems.push(describe(error));
      // Whatever that left behind must not spoil the next case.
      target = open(run.target);
    }
    // Rejections are reported a turn after nobody caught them.
    await settle(1);
    problems.push(...escapes.take(), ...queues.take());
    // Some go by the clock: what is over by itself soon was not forgotten.
    const deadline = Date.now() + SOON_MS;
    while (timers.pending > pending && Date.now() < deadline) await settle(1);
    const left = timers.pending - pending;
    if (left > 0) problems.push(`Timers left: ${left}`);
    if ("polluted" in {}) problems.push("Every object has a new field");
    return problems;
  };
  try {
    for (let number = run.from; done < run.cases; number++) {
      if (performance.now() - started > (run.ms ?? Infinity)) break;
      const one = target.make(new Prng(run.seed, number));
      const problems = await problemsOf(one);
      if (problems.length > 0) {
        const kind = kindOf(problems[0]);
        const script = await minimise(one, async (next) => {
          const [first] = await problemsOf(next);
          return first !== undefined && kindOf(first) === kind;
        }, kind === "Hangs" ? MAX_HANGS : undefined);
        const { target: name, seed } = run;
        const finding = { target: name, seed, number, problems, script };
        return { finding, cases: done, reached: target.reached };
      }
      done++;
      if (done % PROGRESS_EVERY === 0) run.progress?.(done);
      if (done === WARM_UP || (done % MEMORY_EVERY === 0)) {
        const now = await heldBytes();
        held ??= now;
        if (now - held > MAX_GROWTH_BYTES) {
          throw new Error(
            `Memory of the ${run.target} grew from ${held} to ${now} bytes by ` +
              `case ${number} of seed ${run.seed}`,
          );
        }
      }
    }
    return { finding: null, cases: done, reached: target.reached };
  } finally {
    await target.close();
  }
}

function open(name: TargetName): Target {
  return TARGETS[name]() as Target;
}

function describe(error: unknown): string {
  if (error instanceof Hang) return `Hangs: ${error.message}`;
  return error instanceof Error ? String(error.stack) : String(error);
}

/** What two problems of one kind have in common. */
function kindOf(problem: string): string {
  return problem.split(/[:("\d]/, 1)[0].slice(0, 60);
}

/** A finding, and how to see it again. */
export function report(finding: Finding): string {
  const { target, seed, number, problems, script } = finding;
  return [
    `Case ${number} of seed ${seed} against the ${target} went wrong:`,
    ...problems.map((problem) => `- ${problem.replaceAll("\n", "\n  ")}`),
    "The shortest script that does the same:",
    describeScript(script),
    "Again:",
    `  npm run fuzz -- --target ${target} --seed ${seed} --case ${number}`,
  ].join("\n");
}
