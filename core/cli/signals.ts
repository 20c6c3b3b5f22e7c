/**
 * Our own signals, passed on to the command.
 *
 * @module
 */

import type { RemoteCommand } from "../exec/client.ts";
import type { CliRuntime } from "./runtime.ts";

const PASSED_ON = [
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
] as const;

/** How many SIGINT or SIGTERM mean that the user has had enough; as docker. */
const PATIENCE = 3;

/**
 * Sends every signal we get to the command, and adds it to `passed`. After the
 * third SIGINT or SIGTERM `giveUp` is called with it instead. The result stops
 * all that.
 */
export function passSignals(
  runtime: CliRuntime,
  command: RemoteCommand,
  giveUp: (signal: string) => void,
  passed: Set<string> = new Set(),
): () => void {
  let endings = 0;
  const stops = PASSED_ON.map((name) =>
    runtime.onSignal(name, () => {
      if (name === "SIGINT" || name === "SIGTERM") endings++;
      if (endings >= PATIENCE) return giveUp(name);
      command.kill(name);
      passed.add(name);
    })
  );
  return () => stops.forEach((stop) => stop());
}
