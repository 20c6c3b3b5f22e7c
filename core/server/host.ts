/**
 * What all connections of one server share.
 *
 * @module
 */

import type { Admission } from "../admission/admission.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { Memory } from "../memory.ts";
import type { ServerLimits } from "../server_limits.ts";
import type { Authorization } from "./authorization.ts";
import type { ServeOptions } from "./options.ts";

/** See the module's description. */
export interface Host {
  readonly options: ServeOptions;
  readonly limits: ServerLimits;
  readonly admission: Admission;
  /** Of all sessions together. */
  readonly memory: Memory;
  readonly authorization: Authorization;
  readonly jobs: Jobs;
}
