/**
 * Subprocesses, each the leader of a process group of its own.
 *
 * @module
 */

import type { Spawner } from "../../core/ports.ts";
import { spawnerWith } from "./start.ts";

/** Starts commands. */
export const spawner: Spawner = spawnerWith(() => null);
