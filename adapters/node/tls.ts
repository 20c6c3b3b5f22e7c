/**
 * TLS on Node and Bun. Loaded when a `tls://` address is used.
 *
 * @module
 */

import type { Duplex, Listener, SocketTarget } from "../../core/ports.ts";
import type {
  TlsDialOptions,
  TlsListenOptions,
} from "../../core/tls/options.ts";
import { dial, type TlsTarget } from "../tls/dial.ts";
import { listen } from "../tls/listen.ts";
import type { TlsRuntime } from "../tls/runtime.ts";

const runtime: TlsRuntime = {
  systemRoots: () => Promise.resolve(undefined),
  flow: (secure) => secure,
  canExport: true,
};

/** Connects over TLS. */
export function dialTls(
  target: TlsTarget,
  options: TlsDialOptions,
  signal?: AbortSignal,
): Promise<Duplex> {
  return dial(runtime, target, options, signal);
}

/** Listens for TLS connections. */
export function listenTls(
  target: SocketTarget,
  options: TlsListenOptions,
): Promise<Listener> {
  return listen(runtime, target, options);
}
