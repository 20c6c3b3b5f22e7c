/**
 * Runs one experiment, with an end to it in any case, and says what came of it.
 *
 * @module
 */

import { within } from "../session/deadline.ts";
import { Bench, type BenchOptions } from "./bench.ts";
import type { Finding } from "./finding.ts";
import { EXPERIMENTS, type LabName } from "./lab.ts";

export type { LabName };

/** The experiments' names, in their order. */
export const LAB_NAMES: readonly LabName[] = Object
  .keys(EXPERIMENTS) as LabName[];

/** An experiment and what it found; the object that `--json` prints. */
export interface LabResult extends Finding {
  readonly lab: LabName;
  /** `node 20.20.2` and the like. */
  readonly runtime: string;
}

/** How long one experiment may take, in milliseconds. */
const PATIENCE_MS = 60_000;

/**
 * Runs it and gives back all that it used, whatever happens. Rejects with
 * `timed_out`, with `cancelled` if the signal fires, with `connection_failed`
 * for a port that is taken, and with what else the experiment trips over.
 */
export async function runLab(
  name: LabName,
  runtime: string,
  options: BenchOptions,
  signal?: AbortSignal,
): Promise<LabResult> {
  const bench = new Bench(options);
  try {
    const running = EXPERIMENTS[name](bench);
    const finding = await within(Promise.race([running, bench.failure]), {
      ms: PATIENCE_MS,
      signal,
      doing: `The experiment ${name}`,
    });
    tell(name, finding, options);
    return { lab: name, runtime, ...finding };
  } finally {
    await bench.close();
  }
}

function tell(
  name: LabName,
  { observed, cured }: Finding,
  { story }: BenchOptions,
): void {
  story.gap();
  story.verdict(
    observed,
    observed ? "verdict.observed" : "verdict.not_observed",
    { finding: story.text(`${name}.finding`) },
  );
  story.verdict(cured, cured ? "verdict.cured" : "verdict.not_cured", {
    cure: story.text(`${name}.cured`),
  });
}
