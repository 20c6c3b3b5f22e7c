/**
 * Addresses in the form that `connect` takes and people read.
 *
 * @module
 */

import type { SocketTarget } from "../ports.ts";

/** `host:port`, with an IPv6 address in brackets. */
export function formatHostPort(hostname: string, port: number): string {
  return hostname.includes(":")
    ? `[${hostname}]:${port}`
    : `${hostname}:${port}`;
}

/** `tcp://127.0.0.1:8090`, `tcp://[::1]:8090`, `unix:/run/limpet.sock`. */
export function formatTarget(target: SocketTarget): string {
  return target.kind === "tcp"
    ? `tcp://${formatHostPort(target.hostname, target.port)}`
    : `unix:${target.path}`;
}
