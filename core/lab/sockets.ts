/**
 * The lab's port: sockets as the lesson's programs see them, with nothing
 * hidden. One call here is one call of the operating system, and what the
 * kernel cuts, merges or drops stays cut, merged or dropped.
 *
 * @module
 */

/** Where a socket of the lab is, always on this machine. */
export interface LabAddress {
  readonly hostname: string;
  readonly port: number;
}

/** A TCP connection. */
export interface LabSocket {
  /**
   * One `recv(2)`: waits until there is something, then takes at most so many
   * bytes. Null once the peer has ended its side. Rejects with
   * `connection_lost`, which names ECONNRESET if the peer reset the connection,
   * and with `closed` after `close()`. One call at a time.
   */
  recv(maxBytes: number): Promise<Uint8Array | null>;
  /**
   * One `send(2)`: waits until there is room, then resolves to the number of
   * bytes that the kernel took, which may be fewer than given. Rejects as
   * `recv` does. One call at a time.
   */
  send(bytes: Uint8Array): Promise<number>;
  /** Off: small segments wait for more to send (Nagle), which is the default. */
  setNoDelay(on: boolean): void;
  /**
   * Closes the descriptor at once. With bytes unread the kernel sends a reset
   * (after a FIN, on Deno), otherwise a FIN.
   */
  close(): void;
}

/** A listening TCP socket. */
export interface LabListener {
  readonly address: LabAddress;
  /** The next connection. Rejects with `closed` after `close()`. */
  accept(): Promise<LabSocket>;
  close(): void;
}

/** A UDP socket. */
export interface LabDatagrams {
  readonly address: LabAddress;
  /**
   * One `sendto(2)`. Rejects with `limit_exceeded` for what no datagram can
   * hold (EMSGSIZE).
   */
  send(bytes: Uint8Array, to: LabAddress): Promise<void>;
  /**
   * One `recvfrom(2)` with a buffer of so many bytes: the kernel drops the rest
   * of a longer datagram. Rejects with `closed` after `close()`.
   *
   * On Bun, whose event loop cannot be kept from reading by itself, it takes
   * what was sent since the event loop last turned, and rejects with
   * `unsupported` for what the loop has taken.
   */
  receive(maxBytes: number): Promise<Uint8Array>;
  close(): void;
}

/** What an adapter supplies; see the module's description. */
export interface LabSockets {
  /**
   * Listens on 127.0.0.1; port 0 takes a free one. Rejects with
   * `connection_failed`, e.g. for a port that is taken.
   */
  listen(port: number): Promise<LabListener>;
  /** Rejects with `connection_failed`. */
  dial(to: LabAddress): Promise<LabSocket>;
  /**
   * A UDP socket on a free port of 127.0.0.1. Rejects with `unsupported` where
   * the runtime has none.
   */
  bindDatagrams(): Promise<LabDatagrams>;
}

/** The most bytes that a UDP datagram over IPv4 holds: 65,535 less its headers. */
export const MAX_DATAGRAM_BYTES = 65_507;
