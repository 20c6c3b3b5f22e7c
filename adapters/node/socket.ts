/**
 * TCP and Unix sockets.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import type { MachineListener } from "../../core/machine.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import type { Validity } from "../../core/tls/failure.ts";
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
  const { tls: ours } = await import("./tls.ts");
  return await ours.dial(target, required(tls), signal);
}

/** Listens. Rejects with a `LimpetError` `connection_failed`. */
export async function listen(
  target: SocketTarget,
  tls?: TlsListenOptions,
): Promise<MachineListener> {
  if (target.kind !== "tls") return await listenPlain(target);
  const { tls: ours } = await import("./tls.ts");
  return await ours.listen(target, required(tls));
}

/** See `Machine.inspectTls`. */
export async function inspectTls(tls: TlsListenOptions): Promise<Validity> {
  return await (await import("./tls.ts")).tls.inspectTls(tls);
}

function required<Options>(options: Options | undefined): Options {
  if (options !== undefined) return options;
  throw new LimpetError("invalid_argument", "A tls:// address needs options");
}
