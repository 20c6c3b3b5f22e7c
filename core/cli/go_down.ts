/**
 * The end of a server, without haste and with.
 *
 * @module
 */

import { counted } from "../counted.ts";
import type { Server } from "../server.ts";
import type { Reporter } from "./report.ts";
import type { StopRequests } from "./stop_signals.ts";

/** How long commands may go on when the server is told to end, in ms. */
export const DEFAULT_DRAIN_MS = 30_000;

/** From SIGTERM to SIGKILL for whoever does not want to wait, in ms. */
const HURRIED_GRACE_MS = 2_000;

/**
 * Takes no more commands and lets those that run go on for `drainMs`; told
 * again, ends them at once; told a third time, kills them.
 */
export async function goDown(
  server: Server,
  [, again, thirdTime]: StopRequests,
  drainMs: number,
  report: Reporter,
): Promise<void> {
  let hurried = false;
  again.then(() => {
    hurried = true;
    report.info(
      `stopping: not waiting for ${commands(server)} any longer (again to ` +
        "kill what does not end)",
    );
    return server.close(HURRIED_GRACE_MS);
  });
  thirdTime.then(() => server.close(0));
  const waits = drainMs > 0 && server.commandCount > 0;
  if (waits) {
    report.info(
      `stopping: waiting up to ${inWords(drainMs)} for ${
        commands(server)
      } (again to end ` +
        "what runs)",
    );
  } else if (server.commandCount > 0) {
    report.info(`stopping: ending ${commands(server)} (again to hurry)`);
  } else report.info("stopping: no command runs");
  if (drainMs > 0) await server.drain(drainMs);
  if (waits && !hurried) {
    report.info(
      server.commandCount > 0
        ? `stopping: the time is up, ending ${commands(server)}`
        : "stopping: every command has come to its end",
    );
  }
  await server.close();
}

/** Milliseconds for people: `500 ms`, `30 s`. */
export function inWords(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`;
}

function commands({ commandCount }: Server): string {
  return counted(commandCount, "command");
}
