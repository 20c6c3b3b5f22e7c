/**
 * TCP and Unix sockets.
 *
 * Permissions: `--allow-net`, which can be narrowed to the address. For a Unix
 * socket also `--allow-read` and `--allow-write` of its path, to connect as well
 * as to listen; narrowed, it is `--allow-net=unix:/absolute/path`.
 *
 * @module
 */

import { connectError } from "../../core/adapter/os_error.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import { duplexOf } from "./connection.ts";
import { osError } from "./errors.ts";

export { listen } from "./listener.ts";

/**
 * Connects. Rejects with a `LimpetError` `connection_failed`, or with the
 * signal's reason.
 */
export async function dial(
  target: SocketTarget,
  signal?: AbortSignal,
): Promise<Duplex> {
  signal?.throwIfAborted();
  try {
    const conn = target.kind === "tcp"
      ? await Deno.connect({
        hostname: target.hostname,
        port: target.port,
        signal,
      })
      : await Deno.connect({ transport: "unix", path: target.path });
    if (signal?.aborted) conn.close();
    else return duplexOf(conn);
  } catch (error) {
    if (!signal?.aborted) {
      throw connectError(formatTarget(target), osError(error));
    }
  }
  throw signal.reason;
}
