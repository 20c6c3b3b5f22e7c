/**
 * What a server tells of a request: not its input, and no variable's value.
 *
 * @module
 */

import type { RequestFacts } from "./events.ts";
import type { ExecRequest } from "./request.ts";

/** What is told of a request. */
export function factsOf(request: ExecRequest): RequestFacts {
  return {
    argv: request.argv ?? [request.line ?? ""],
    shell: request.line !== undefined,
    cwd: request.cwd ?? null,
    env: Object.keys(request.env),
    traceparent: request.traceparent ?? null,
  };
}
