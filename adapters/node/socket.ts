/**
 * TCP and Unix sockets.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import type { Duplex, Listener, SocketTarget } from "../../core/ports.ts";
import type {
  TlsDialOptions,
  TlsListenOptions,
} from "../../core/tls/options.ts";
import { connectTo, duplexOf } from "./connection.ts";
import { listenPlain } from "./listener.ts";

/**
 * Connects. Rejects with a `LimpetError` `connection_failed`, with another code
 * for what is TLS's own, or with the signal's reason.
 */
export async function dial(
  target: SocketTarget,
  signal?: AbortSignal,
  tls?: TlsDialOptions,
): Promise<Duplex> {
  if (target.kind !== "tls") return await connectTo(target, duplexOf, signal);
  const { dialTls } = await import("./tls.ts");
  return await dialTls(target, required(tls), signal);
}

/** Listens. Rejects with a `LimpetError` `connection_failed`. */
export async function listen(
  target: SocketTarget,
  tls?: TlsListenOptions,
): Promise<Listener> {
  if (target.kind !== "tls") return await listenPlain(target);
  const { listenTls } = await import("./tls.ts");
  return await listenTls(target, required(tls));
}

function required<Options>(options: Options | undefined): Options {
  if (options !== undefined) return options;
  throw new LimpetError("invalid_argument", "A tls:// address needs options");
}
