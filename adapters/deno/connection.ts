/**
 * An open socket as a byte stream.
 *
 * @module
 */

import { LazyDuplex } from "../../core/adapter/lazy_duplex.ts";
import { lostError } from "../../core/adapter/os_error.ts";
import type { LimpetError } from "../../core/errors.ts";
import type { Duplex } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import { osError } from "./errors.ts";
import { type Sink, SinkWriter, type Source, SourceReader } from "./streams.ts";

/**
 * An open socket as a {@linkcode Duplex}. No waiting for more to send (Nagle),
 * and the OS notices a peer that is gone for good.
 */
export function duplexOf(conn: Deno.TcpConn | Deno.UnixConn): Duplex {
  if ("setNoDelay" in conn) {
    conn.setNoDelay();
    conn.setKeepAlive();
  }
  const sides = new Sides(conn);
  const peer = peerOf(conn.remoteAddr);
  return new LazyDuplex(peer, new SourceReader(sides), new SinkWriter(sides));
}

/**
 * Of one socket. Deno closes nothing by itself: the descriptor goes when both are
 * over.
 */
class Sides implements Source, Sink {
  readonly #conn: Deno.Conn;
  #isOpen = true;
  #isReading = true;
  #isWriting = true;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#conn.read(buffer);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  over(): void {
    this.#isReading = false;
    if (!this.#isWriting) this.abort();
  }

  async end(): Promise<void> {
    await this.#conn.closeWrite();
    this.#isWriting = false;
    if (!this.#isReading) this.abort();
  }

  /** Deno has no way to ask for a reset. */
  abort(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#conn.close();
  }

  explain(error: unknown): LimpetError {
    this.abort();
    return lostError(error === null ? null : osError(error));
  }
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
