/**
 * Commands that are named, or outlive us: what `limpet exec` says of them.
 *
 * @module
 */

import type { Session } from "../client.ts";
import { checkJobId } from "../exec/job_id.ts";
import type { OnDisconnect } from "../exec/request.ts";
import type { SpawnOptions } from "../options.ts";
import { type Arguments, usageError } from "./args.ts";
import type { CliRuntime } from "./runtime.ts";

/** Reads `--job-id`, `--on-disconnect` and `-d`. */
export function jobFlags(
  args: Arguments,
): { jobId: string | undefined; onDisconnect: OnDisconnect | undefined } {
  const jobId = args.value("job-id");
  if (jobId !== undefined) checkJobId(jobId);
  const mode = args.value("on-disconnect");
  if (
    mode !== undefined && mode !== "kill" && mode !== "keep" &&
    mode !== "detach"
  ) {
    throw usageError(
      `--on-disconnect ${mode} is none of kill, keep and detach`,
    );
  }
  if (!args.has("detach")) return { jobId, onDisconnect: mode };
  if (mode === "kill") {
    throw usageError("-d and --on-disconnect kill exclude each other");
  }
  return { jobId, onDisconnect: mode ?? "detach" };
}

/** Starts the command, prints its job id, and leaves it to itself. */
export async function startDetached(
  runtime: CliRuntime,
  session: Session,
  command: string,
  options: SpawnOptions,
): Promise<number> {
  const child = session.spawn(command, options);
  await child.pid;
  await runtime.stdout.write(new TextEncoder().encode(`${child.jobId}\n`));
  return 0;
}
