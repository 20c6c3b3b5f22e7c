/**
 * An open socket as a byte stream.
 *
 * @module
 */

import { streamOfReader } from "../../core/adapter/reader_stream.ts";
import { withShortcuts } from "../../core/shortcuts.ts";
import { lostError } from "../../core/adapter/os_error.ts";
import type { Duplex } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import { osError } from "./errors.ts";
import { SourceReader, writableOf } from "./streams.ts";

/**
 * An open socket as a {@linkcode Duplex}. No waiting for more to send (Nagle),
 * and the OS notices a peer that is gone for good.
 */
export function duplexOf(conn: Deno.TcpConn | Deno.UnixConn): Duplex {
  if ("setNoDelay" in conn) {
    conn.setNoDelay();
    conn.setKeepAlive();
  }
  // Deno closes nothing by itself: the descriptor goes when both sides are over.
  let open = true;
  let reading = true;
  let writing = true;
  const drop = (): void => {
    if (!open) return;
    open = false;
    conn.close();
  };
  const map = (error: unknown) => {
    drop();
    return lostError(error === null ? null : osError(error));
  };
  const doneReading = (): void => {
    reading = false;
    if (!writing) drop();
  };
  const reader = new SourceReader(conn, map, doneReading);
  const output = writableOf({
    write: (bytes) => conn.write(bytes),
    async end(): Promise<void> {
      await conn.closeWrite();
      writing = false;
      if (!reading) drop();
    },
    // Deno has no way to ask for a reset.
    abort: drop,
  }, map);
  let readable: ReadableStream<Uint8Array> | undefined;
  const duplex = {
    get readable() {
      return readable ??= streamOfReader(reader);
    },
    get writable() {
      return output.writable;
    },
    peer: peerOf(conn.remoteAddr),
  };
  const { writev, end } = output;
  return withShortcuts(duplex, { getReader: () => reader, writev, end });
}

function peerOf(address: Deno.Addr): string {
  return "hostname" in address
    ? hostPort(address.hostname, address.port)
    : "unix";
}

/** `127.0.0.1:40312`, and an IPv6 address in brackets. */
function hostPort(hostname: string, port: number): string {
  return formatTarget({ kind: "tcp", hostname, port }).slice("tcp://".length);
}
