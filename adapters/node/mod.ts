/**
 * Limpet on Node: all of the core, and `connect` and `serve` by address.
 *
 * @module
 */

import type { Session } from "../../core/client.ts";
import { connectTo, type ConnectToOptions } from "../../core/dial.ts";
import {
  type RunningServer,
  serveAt,
  type ServeAtOptions,
} from "../../core/endpoint.ts";
import type { Dialler, Duplex } from "../../core/ports.ts";
import { machine } from "./machine.ts";

export * from "../../core/mod.ts";
export type { ConnectToOptions, RunningServer, ServeAtOptions };
export { JobCommand } from "../../core/dial.ts";
export { jobFiles } from "./job_files.ts";
export { dial, listen } from "./socket.ts";
export { spawner } from "./spawn.ts";
export {
  type SpawnHelper,
  spawnHelper,
  type SpawnHelperOptions,
} from "./spawn_helper.ts";
export { stdio } from "./stdio.ts";

/**
 * Connects to a server: `host`, `host:port`, `tcp://host:port`, `unix:PATH`,
 * `cmd:COMMAND LINE`, or a byte stream. Without `token` it is found as the
 * command line finds it: `LIMPET_TOKEN_FILE`, `LIMPET_TOKEN`, or the file that
 * `limpet serve` made on this machine.
 *
 * @throws {LimpetError} as the core's `connect` does, and `connection_failed`.
 */
export function connect(
  to: string | Duplex | Dialler,
  options: ConnectToOptions = {},
): Promise<Session> {
  return connectTo(machine, to, options);
}

/**
 * Listens at `tcp://host:port` (port 0 takes a free one) or `unix:PATH` and
 * runs the commands of everyone who proves the token, as the user this program
 * runs as. Without `token` it is found as in {@linkcode connect}, or made.
 *
 * @throws {LimpetError} `connection_failed` if it cannot listen there.
 */
export function serve(
  address: string,
  options: ServeAtOptions = {},
): Promise<RunningServer> {
  return serveAt(machine, address, options);
}
