/**
 * Sockets, and an open one as a byte stream.
 *
 * @module
 */

import { connect, type NetConnectOpts, type Socket } from "node:net";
import { connectError, lostError } from "../../core/adapter/os_error.ts";
import type { LimpetError } from "../../core/errors.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import { osError } from "./errors.ts";
import { socketDuplex } from "./streams.ts";

/**
 * What every socket of ours is like: no waiting for more to send (Nagle), both
 * directions end on their own, and the OS notices a peer that is gone for good.
 */
export const SOCKET_OPTIONS = {
  noDelay: true,
  allowHalfOpen: true,
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
} as const;

/**
 * An open socket as a {@linkcode Duplex}.
 *
 * A reset by the peer may show as a clean end: libuv takes a hang-up that comes
 * together with the last bytes for the end without asking for the error. So
 * only the protocol above can tell whether all has arrived, and it does.
 */
export function duplexOf(socket: Socket): Duplex {
  return socketDuplex({
    socket,
    peer: peerOf(socket),
    map: lost,
    cancel: () => {
      // Nothing will come of reading any more: when writing is over too, so is
      // the socket.
      if (socket.writableFinished) drop(socket);
      else socket.once("finish", () => drop(socket));
    },
    abort: () => drop(socket),
  });
}

function lost(error: unknown): LimpetError {
  return lostError(error === null ? null : osError(error));
}

/**
 * At once, unsent bytes included: with a reset where there is one (TCP), so
 * that the kernel keeps nothing for a peer that may never take it.
 */
function drop(socket: Socket): void {
  if (socket.remoteAddress !== undefined && !socket.writableFinished) {
    // On its own this would wait for what is still being written.
    socket.resetAndDestroy();
  }
  socket.destroy();
}

/**
 * Where its other end is: `127.0.0.1:40312`. One that reset the connection before
 * it was accepted has no address any more; it is not to pass for a Unix socket.
 */
export function peerOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) {
    return socket.localAddress === undefined ? "unix" : "unknown";
  }
  return hostPort(remoteAddress, remotePort);
}

/** `127.0.0.1:40312`, and an IPv6 address in brackets. */
function hostPort(hostname: string, port: number): string {
  return formatTarget({ kind: "tcp", hostname, port }).slice("tcp://".length);
}

/**
 * How long the first of a host's addresses may take before the next is tried
 * as well. Node's own 250 ms also cuts off the last one on a slow network.
 */
const NEXT_ADDRESS_MS = 2_000;

/**
 * Connects, and makes something of the socket before anything happens on it.
 * `begin` makes the socket, if it is to be another than `node:net`'s.
 */
export function connectTo<Result, Made extends Socket = Socket>(
  target: SocketTarget,
  use: (socket: Made) => Result,
  signal?: AbortSignal,
  begin?: (options: NetConnectOpts) => Made,
): Promise<Result>;
export function connectTo<Result>(
  target: SocketTarget,
  use: (socket: Socket) => Result,
  signal?: AbortSignal,
  begin: (options: NetConnectOpts) => Socket = connect,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const socket = open(target, begin, reject);
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
      try {
        const used = use(socket);
        socket.off("error", failed);
        resolve(used);
      } catch (error) {
        // Nobody stands above this callback to catch it.
        failed(error as Error);
        socket.destroy();
      }
    });
  });
}

/** Null if Node refused the address itself, e.g. port 70000. */
function open(
  target: SocketTarget,
  begin: (options: NetConnectOpts) => Socket,
  reject: (error: unknown) => void,
): Socket | null {
  const options: NetConnectOpts = target.kind !== "unix"
    ? {
      ...SOCKET_OPTIONS,
      host: target.hostname,
      port: target.port,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    }
    : { path: target.path, allowHalfOpen: true };
  try {
    return begin(options);
  } catch (error) {
    reject(connectError(formatTarget(target), osError(error)));
    return null;
  }
}
