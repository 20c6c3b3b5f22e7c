/**
 * A connection of a client's, up to the end of its TLS handshake.
 *
 * @module
 */

import type { NetConnectOpts, Socket } from "node:net";
import type { ConnectionOptions, PeerCertificate, TLSSocket } from "node:tls";
import { connectError } from "../../core/adapter/os_error.ts";
import type { SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import {
  clientTlsError,
  hungUpError,
  type TlsError,
} from "../../core/tls/failure.ts";
import { connectTo, SOCKET_OPTIONS } from "../node/connection.ts";
import { osError } from "../node/errors.ts";
import { Records } from "./records.ts";

/** What {@linkcode openSecure} has come to. Nothing has been read from it. */
export interface Secured extends Shaken {
  /** The socket beneath; the same where there is none. */
  readonly raw: Socket;
  readonly socket: TLSSocket;
  /** What comes, unless it comes by the socket's stream. */
  readonly records: Records | undefined;
}

/**
 * Connects. Rejects with a `LimpetError`, or with the signal's reason.
 * `canLand`: see `TlsRuntime`.
 */
export async function openSecure(
  canLand: boolean,
  target: SocketTarget,
  options: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<Secured> {
  const { connect } = await import("node:tls");
  const address = formatTarget(target);
  // Not among Node's types, but an option of every runtime's.
  const secured = { ...options, allowHalfOpen: true };
  const begun = (raw: Socket, socket: TLSSocket, records?: Records) => ({
    raw,
    socket,
    records,
    shaking: handshake(address, raw, socket, signal),
  });
  const layered = () =>
    connectTo(target, (raw) => {
      // Whatever befalls it is told by the socket on top.
      raw.on("error", () => {});
      return begun(raw, connect({ ...secured, socket: raw }));
    }, signal);
  /** Only a socket that is TLS from the start can be told where records go. */
  const landing = () => {
    const records = new Records();
    const begin = (to: NetConnectOpts): TLSSocket =>
      connect({ ...to, ...secured, ...records.landing() });
    return connectTo(
      target,
      (socket: TLSSocket) => {
        // What `connect` of `node:tls` does not pass on.
        socket.setNoDelay(SOCKET_OPTIONS.noDelay);
        socket.setKeepAlive(
          SOCKET_OPTIONS.keepAlive,
          SOCKET_OPTIONS.keepAliveInitialDelay,
        );
        // What comes has nobody yet to stop it.
        socket.once("secureConnect", () => socket.pause());
        return begun(socket, socket, records);
      },
      signal,
      begin,
    );
  };
  const { shaking, ...opened } = await (canLand ? landing() : layered());
  return { ...opened, ...await shaking };
}

/** What a handshake has come to. */
interface Shaken {
  /** What the server has shown. */
  readonly certificate: PeerCertificate;
  /**
   * What has broken the connection since, if anything has. In TLS 1.3 a client is
   * done before the server has looked at its certificate, and a server that turns
   * it away says so at once.
   */
  readonly failure: () => TlsError | null;
}

function handshake(
  address: string,
  raw: Socket,
  socket: TLSSocket,
  signal: AbortSignal | undefined,
): Promise<Shaken> {
  return new Promise((resolve, reject) => {
    let failure: TlsError | null = null;
    const settle = (error: unknown): void => {
      signal?.removeEventListener("abort", aborted);
      socket.off("secureConnect", done).off("close", closed);
      if (error === undefined) return;
      drop(raw, socket);
      reject(error);
    };
    const done = (): void => {
      // Deno has none any more if the server has already hung up; why it did is
      // what comes next.
      const certificate = socket.getPeerCertificate() as PeerCertificate | null;
      if (certificate === null) return;
      resolve({ certificate, failure: () => failure });
      settle(undefined);
    };
    const aborted = (): void => settle(signal?.reason);
    const closed = (): void =>
      settle(hungUpError(address, { code: undefined, cause: undefined }));
    const failed = (error: Error): void => {
      const known = osError(error);
      const hungUp = known.code === "ECONNRESET" || known.code === "EPIPE";
      failure ??= known;
      settle(
        clientTlsError(address, known) ??
          (hungUp ? hungUpError(address, known) : connectError(address, known)),
      );
    };
    // Stays: there is always somebody to tell, and later the streams do.
    socket.on("error", failed);
    socket.once("secureConnect", done).once("close", closed);
    if (signal?.aborted) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** Both layers, at once. */
export function drop(raw: Socket, socket: TLSSocket): void {
  socket.destroy();
  raw.destroy();
}
