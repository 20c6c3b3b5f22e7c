/**
 * A TLS connection as a byte stream.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { lostError } from "../../core/adapter/os_error.ts";
import type { LimpetError } from "../../core/errors.ts";
import type { Duplex, TlsInfo } from "../../core/ports.ts";
import type { TlsError } from "../../core/tls/failure.ts";
import { peerOf } from "../node/connection.ts";
import { osError } from "../node/errors.ts";
import { socketDuplex } from "../node/streams.ts";
import { Records } from "./records.ts";
import type { TlsRuntime } from "./runtime.ts";

/** What {@linkcode tlsDuplex} needs. */
export interface TlsConnection {
  /** The socket beneath, which is what is dropped. */
  readonly raw: Socket;
  /** The socket over it; a promise until its handshake is done. */
  readonly secure: TLSSocket | Promise<TLSSocket>;
  readonly info: TlsInfo;
  /** What has come of it already and what will, if it does not come by `secure`. */
  readonly records?: Records;
  /** What it means that the peer ends before a byte has come, if it is known. */
  readonly unanswered?: (error: LimpetError | null) => LimpetError;
  /** The failures that are TLS's own. */
  explain(error: TlsError): LimpetError | null;
}

/**
 * As a {@linkcode Duplex}. That the peer's TCP side ended without the end that
 * TLS has of its own (`close_notify`) is a clean end here, as no runtime tells
 * them apart: only the protocol above can tell whether all has arrived, and it
 * does.
 */
export function tlsDuplex(
  { raw, secure, info, records = new Records(), unanswered, explain }:
    TlsConnection,
  runtime: TlsRuntime,
): Duplex {
  let over: TLSSocket | null = null;
  if (secure instanceof Promise) {
    secure.then((socket) => over = socket, () => {});
  } else over = secure;
  // Without a reset: asking for one beneath a TLS socket crashes Node.
  const drop = (): void => {
    over?.destroy();
    raw.destroy();
  };
  const map = (error: unknown) => {
    if (error === null) return lostError(null);
    const known = osError(error);
    return explain(known) ?? lostError(known);
  };
  return socketDuplex({
    socket: secure,
    peer: peerOf(raw),
    tls: info,
    map,
    cancel: () => {
      // Nothing will come of reading any more: when writing is over too, so is
      // the socket.
      if (over === null || over.writableFinished) drop();
      else over.once("finish", drop);
    },
    abort: drop,
    reading: {
      flowOf: (socket) => runtime.flow(socket, raw),
      unanswered,
      gathering: records,
      release: runtime.release,
    },
  });
}

/** What both ends can derive from the connection, where the runtime can. */
export function exporterOf(
  socket: () => TLSSocket | null,
  canExport: boolean,
): Pick<TlsInfo, "exporter"> {
  if (!canExport) return {};
  return {
    exporter: (label, length) => {
      const secure = socket();
      if (secure === null) throw new Error("The TLS handshake is not done");
      return new Uint8Array(
        secure.exportKeyingMaterial(length, label, new Uint8Array(0) as Buffer),
      );
    },
  };
}
