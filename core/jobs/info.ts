/**
 * A job, as clients are told of it.
 *
 * @module
 */

import type { JobEntry, JobStream } from "./entry.ts";

/** The body of an answer; absent is what is not known, or does not apply. */
export function infoOf(entry: JobEntry): object {
  const { status } = entry;
  return {
    id: entry.id,
    state: entry.state,
    onDisconnect: entry.onDisconnect,
    argv: entry.argv,
    shell: entry.shell,
    startedAt: entry.startedAt,
    pid: entry.pid ?? undefined,
    endedAt: entry.endedAt ?? undefined,
    status: status === null ? undefined : {
      code: status.code,
      signal: status.signal,
      reason: status.reason ?? undefined,
    },
    stdout: streamInfo(entry.stdout),
    stderr: streamInfo(entry.stderr),
    stdin: entry.channel?.stdin?.isOpen ? true : undefined,
    readers: entry.readers,
    problem: entry.problem ?? undefined,
  };
}

function streamInfo(stream: JobStream | null): object | undefined {
  if (stream === null) return undefined;
  const { total, dropped } = stream.spool;
  const droppedBytes = dropped.reduce(
    (sum, { from, to }) => sum + to - from,
    0,
  );
  return { bytes: total, dropped: droppedBytes };
}
