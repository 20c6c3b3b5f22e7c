/**
 * TLS as the adapters have it, on what their runtime differs in.
 *
 * @module
 */

import type { Machine, MachineListener } from "../../core/machine.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import type {
  TlsDialOptions,
  TlsListenOptions,
} from "../../core/tls/options.ts";
import { dial, type TlsTarget } from "./dial.ts";
import { inspectTls } from "./identity.ts";
import { listen } from "./listen.ts";
import type { TlsRuntime } from "./runtime.ts";

/** What an adapter does with a `tls://` address. */
export interface Tls extends Pick<Machine, "inspectTls"> {
  dial(
    target: TlsTarget,
    options: TlsDialOptions,
    signal?: AbortSignal,
  ): Promise<Duplex>;
  listen(
    target: SocketTarget,
    options: TlsListenOptions,
  ): Promise<MachineListener>;
}

/** For one runtime. */
export function tlsOver(runtime: TlsRuntime): Tls {
  return {
    dial: (target, options, signal) => dial(runtime, target, options, signal),
    listen: (target, options) => listen(runtime, target, options),
    inspectTls,
  };
}
