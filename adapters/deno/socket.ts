/**
 * TCP and Unix sockets.
 *
 * Permissions: `--allow-net`, which can be narrowed to the address. For a Unix
 * socket also `--allow-read` and `--allow-write` of its path, to connect as well
 * as to listen; narrowed, it is `--allow-net=unix:/absolute/path`.
 *
 * @module
 */

import { connectError } from "../../core/adapter/os_error.ts";
import { LimpetError } from "../../core/errors.ts";
import type { MachineListener } from "../../core/machine.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import type { Validity } from "../../core/tls/failure.ts";
import type {
  TlsDialOptions,
  TlsListenOptions,
} from "../../core/tls/options.ts";
import { duplexOf } from "./connection.ts";
import { osError } from "./errors.ts";
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
  signal?.throwIfAborted();
  if (target.kind === "tls") {
    const { tls: ours } = await import("./tls.ts");
    return await ours.dial(target, required(tls), signal);
  }
  try {
    const conn = target.kind !== "unix"
      ? await Deno.connect({
        hostname: target.hostname,
        port: target.port,
        signal: signal && quietly(signal),
      })
      : await Deno.connect({ transport: "unix", path: target.path });
    if (signal?.aborted) conn.close();
    else return duplexOf(conn);
  } catch (error) {
    if (!signal?.aborted) {
      throw connectError(formatTarget(target), osError(error));
    }
  }
  throw signal.reason;
}

/**
 * Aborted with that signal, and asked nothing: once connected, `Deno.connect` has
 * the signal throw if it was aborted meanwhile, and nobody gets the connection to
 * close it (Deno 2.9). Whoever called looks for themselves.
 */
function quietly(signal: AbortSignal): AbortSignal {
  const own = AbortSignal.any([signal]);
  return Object.defineProperty(own, "throwIfAborted", { value: () => {} });
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
