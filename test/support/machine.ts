/**
 * The machine of whichever adapter this runtime uses.
 *
 * @module
 */

import type { Machine } from "../../core/machine.ts";
import { THIS_RUNTIME } from "./runtimes.ts";

const adapter: { readonly machine: Machine } = THIS_RUNTIME === "deno"
  ? await import("../../adapters/deno/machine.ts")
  : await import("../../adapters/node/machine.ts");

export const machine: Machine = adapter.machine;
