/**
 * `connect` by address, on a machine that an adapter describes. Apart from how one
 * serves: a program that only connects does not load all of a server.
 *
 * @module
 */

import { withShortcuts } from "./shortcuts.ts";
import { connect, type ConnectOptions, type Session } from "./client.ts";
import { commandDuplex } from "./command_duplex.ts";
import { LimpetError } from "./errors.ts";
import { jobs } from "./jobs/client.ts";
import type { Machine } from "./machine.ts";
import type { Dialler, Duplex } from "./ports.ts";
import { resumable } from "./resume.ts";
import { formatTarget, parseTarget, type Target } from "./target.ts";
import { standardEncodings } from "./text/mod.ts";
import type { Trust } from "./tls/trust.ts";
import { type TlsClientOptions, tlsDialOptions } from "./tls_client.ts";
import { findToken } from "./token_file.ts";

export { JobCommand } from "./jobs/client.ts";

/** Noise on the stdio of a program that is skipped at most, in bytes. */
export const MAX_NOISE_BYTES = 65_536;

/** How to connect by address. */
export interface ConnectToOptions
  extends Omit<ConnectOptions, "token" | "resume"> {
  /** Default: found as the command line finds it, see `limpet help token`. */
  readonly token?: string;
  /**
   * Survive lost connections. Default: `resumable()` for an address of a socket;
   * `false` to end with the first one.
   */
  readonly resume?: ConnectOptions["resume"] | false;
  /** For `tls://`. Default: who may sign a certificate is the system's choice. */
  readonly tls?: TlsClientOptions;
}

/**
 * Makes connections to a target; `record` is what is known of a TLS server, unless
 * `tls` says whom to trust. Throws `unsupported` for `raw://`, where there are no
 * sessions.
 */
export function diallerOf(
  machine: Machine,
  target: Target,
  tls?: TlsClientOptions,
  record?: Trust & { readonly by: "record" },
): Dialler {
  if (target.kind === "raw") {
    throw new LimpetError(
      "unsupported",
      `Cannot connect to ${formatTarget(target)}: the raw protocol has no ` +
        "sessions. limpet shell and limpet exec speak it; programs use tcp://",
    );
  }
  const options = target.kind === "tls"
    ? tlsDialOptions(target, tls, record)
    : undefined;
  if (target.kind === "command") {
    const { spawner } = machine;
    return () => commandDuplex(spawner, target.line, machine.environment());
  }
  // What messages call the server: as the user does, not as it was looked up.
  const peer = formatTarget(target).replace(/^\w+:\/\//, "");
  return async (signal) => {
    const duplex = await machine.dial(target, signal, options);
    return target.kind === "unix" ? duplex : withPeer(duplex, peer);
  };
}

function withPeer(duplex: Duplex, peer: string): Duplex {
  const named = {
    // They may be made when they are first asked for.
    get readable() {
      return duplex.readable;
    },
    get writable() {
      return duplex.writable;
    },
    tls: duplex.tls,
    peer,
  };
  return withShortcuts(named, {
    getReader: duplex.getReader?.bind(duplex),
    writev: duplex.writev?.bind(duplex),
    end: duplex.end?.bind(duplex),
  });
}

/** Whether connecting failed because the server hung up before it said anything. */
export function saidNothing({ code, silent }: LimpetError): boolean {
  // An end without an error breaks the protocol's rules, a reset is a loss.
  return silent === true &&
    (code === "connection_lost" || code === "protocol_error");
}

/** Connects to an address, as text or as a byte stream that is there. */
export async function connectTo(
  machine: Machine,
  to: string | Duplex | Dialler,
  options: ConnectToOptions = {},
): Promise<Session> {
  const encodings = standardEncodings(options.encodings);
  const findOurs = async () =>
    options.credential === undefined
      ? options.token ?? (await findToken(machine)).token
      : undefined;
  const { resume } = options;
  if (typeof to !== "string") {
    return await connect(to, {
      jobs,
      ...options,
      resume: resume || undefined,
      encodings,
      token: await findOurs(),
    });
  }
  const target = parseTarget(to);
  const dial = diallerOf(machine, target, options.tls);
  const token = await findOurs();
  const noise = options.noise ?? { maxBytes: MAX_NOISE_BYTES, show: () => {} };
  return await connect(dial, {
    jobs,
    ...options,
    // A program that is started again is another server, with other sessions.
    resume: (resume ?? (target.kind !== "command" && resumable())) || undefined,
    encodings,
    token,
    noise: target.kind === "command" ? noise : undefined,
  });
}
