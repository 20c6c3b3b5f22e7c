/**
 * `serve` by address, on a machine that an adapter describes.
 *
 * @module
 */

import type { Machine } from "./machine.ts";
import type { Platform } from "./ports.ts";
import { type CloseOptions, type ServeOptions, Server } from "./server.ts";
import { LimpetError } from "./errors.ts";
import { parseAddress } from "./target.ts";
import { findCodec } from "./text/mod.ts";
import { serverTls, type TlsServerOptions } from "./tls_server.ts";
import { findOrMakeToken } from "./token_file.ts";

/** How to serve at an address. */
export interface ServeAtOptions
  extends
    Partial<Pick<ServeOptions, "spawner" | "environment" | "platform">>,
    Pick<
      ServeOptions,
      | "token"
      | "authenticator"
      | "encodings"
      | "limits"
      | "gate"
      | "authorize"
      | "onEvent"
      | "jobs"
    > {
  /** For `tls://`. Default: a certificate that is made on first start. */
  readonly tls?: TlsServerOptions;
}

/** A server that listens at one address. */
export interface RunningServer extends AsyncDisposable {
  /** With the real port where 0 was asked for: `tcp://127.0.0.1:40123`. */
  readonly address: string;
  /** Of the certificate at a `tls://` address, as `tls.pin` takes it. */
  readonly fingerprint: string | null;
  readonly server: Server;
  /**
   * Shows new connections another certificate, one that was renewed; those that
   * are open stay as they are. Resolves to its fingerprint. Rejects with
   * `invalid_argument` if it cannot be used, or if there is no TLS, and the old
   * one stays.
   */
  renewTls(tls?: TlsServerOptions): Promise<string>;
  /** As `Server.close`. */
  close(how?: number | CloseOptions): Promise<void>;
}

/** The console's encoding under the name that clients know, if we know it. */
function named(
  platform: Platform,
  encodings: ServeAtOptions["encodings"],
): Platform {
  try {
    const known = typeof encodings === "function" ? undefined : encodings;
    const { name } = findCodec(platform.encoding, known);
    return { ...platform, encoding: name };
  } catch {
    return platform;
  }
}

/** Listens at an address and serves until `close()`. */
export async function serveAt(
  machine: Machine,
  address: string,
  options: ServeAtOptions = {},
): Promise<RunningServer> {
  const token = options.authenticator === undefined
    ? options.token ?? (await findOrMakeToken(machine)).token
    : options.token;
  const platform = options.platform ?? machine.platform();
  const server = new Server({
    spawner: machine.spawner,
    environment: () => machine.environment(),
    ...options,
    platform: named(platform, options.encodings),
    token,
  });
  await server.ready();
  const target = parseAddress(address);
  const tls = target.kind === "tls"
    ? await serverTls(machine, options.tls)
    : null;
  const listener = await machine.listen(target, tls?.options);
  const serving = server.listen(listener);
  const close = async (how?: number | CloseOptions) => {
    await server.close(how);
    await serving;
  };
  return {
    address: listener.address,
    fingerprint: tls?.fingerprint ?? null,
    server,
    async renewTls(given) {
      if (listener.renewTls === undefined) {
        throw new LimpetError(
          "invalid_argument",
          `There is no certificate at ${listener.address}`,
        );
      }
      const { options, fingerprint } = await serverTls(machine, given);
      await listener.renewTls(options);
      return fingerprint;
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}
