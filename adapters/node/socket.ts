/**
 * TCP and Unix sockets.
 *
 * @module
 */

import { connect, type NetConnectOpts, type Socket } from "node:net";
import { connectError } from "../../core/adapter/os_error.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import { duplexOf, SOCKET_OPTIONS } from "./connection.ts";
import { osError } from "./errors.ts";

export { listen } from "./listener.ts";

/**
 * How long the first of a host's addresses may take before the next is tried
 * as well. Node's own 250 ms also cuts off the last one on a slow network.
 */
const NEXT_ADDRESS_MS = 2_000;

/**
 * Connects. Rejects with a `LimpetError` `connection_failed`, or with the
 * signal's reason.
 */
export function dial(
  target: SocketTarget,
  signal?: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const socket = open(target, reject);
    if (socket === null) return;
    const aborted = (): void => {
      reject(signal?.reason);
      socket.destroy();
    };
    const failed = (error: Error): void => {
      signal?.removeEventListener("abort", aborted);
      reject(connectError(formatTarget(target), osError(error)));
    };
    signal?.addEventListener("abort", aborted, { once: true });
    socket.on("error", failed);
    socket.once("connect", () => {
      signal?.removeEventListener("abort", aborted);
      if (signal?.aborted) return;
      const duplex = duplexOf(socket);
      socket.off("error", failed);
      resolve(duplex);
    });
  });
}

/** Null if Node refused the address itself, e.g. port 70000. */
function open(
  target: SocketTarget,
  reject: (error: unknown) => void,
): Socket | null {
  const options: NetConnectOpts = target.kind === "tcp"
    ? {
      ...SOCKET_OPTIONS,
      host: target.hostname,
      port: target.port,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    }
    : { path: target.path, allowHalfOpen: true };
  try {
    return connect(options);
  } catch (error) {
    reject(connectError(formatTarget(target), osError(error)));
    return null;
  }
}
