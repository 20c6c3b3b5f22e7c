/**
 * What an experiment is, and which there are.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { datagram } from "./datagram.ts";
import { empty } from "./empty.ts";
import type { Finding } from "./finding.ts";
import { nagle } from "./nagle.ts";
import { reset } from "./reset.ts";
import { split } from "./split.ts";
import { sticky } from "./sticky.ts";

/** Runs the naive programs, then the cure, and tells what it sees. */
export type Experiment = (bench: Bench) => Promise<Finding>;

/** Their names. */
export type LabName =
  | "sticky"
  | "nagle"
  | "split"
  | "datagram"
  | "empty"
  | "reset";

/** All of them, in the order in which they are best read. */
export const EXPERIMENTS: Readonly<Record<LabName, Experiment>> = {
  sticky,
  nagle,
  split,
  datagram,
  empty,
  reset,
};
