/**
 * Connecting over TLS.
 *
 * @module
 */

import { isIP } from "node:net";
import type { ConnectionOptions, PeerCertificate, TLSSocket } from "node:tls";
import { lostError } from "../../core/adapter/os_error.ts";
import { LimpetError } from "../../core/errors.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import {
  clientTlsError,
  problemOf,
  type TlsError,
  unansweredError,
} from "../../core/tls/failure.ts";
import type {
  ShownCertificate,
  TlsDialOptions,
} from "../../core/tls/options.ts";
import { codeOf } from "../node/errors.ts";
import { exporterOf, tlsDuplex } from "./connection.ts";
import { contextOf, MIN_VERSION } from "./context.ts";
import { inspectDial } from "./identity.ts";
import { drop, openSecure } from "./open.ts";
import type { TlsRuntime } from "./runtime.ts";

/** Where a TLS server is. */
export type TlsTarget = Exclude<SocketTarget, { kind: "unix" }>;

/**
 * Connects and has the server judged. Rejects with what the judge throws, with
 * a `LimpetError` (`invalid_argument`, before connecting, if our certificate, its
 * key or the roots cannot be used), or with the signal's reason.
 */
export async function dial(
  runtime: TlsRuntime,
  target: TlsTarget,
  options: TlsDialOptions,
  signal?: AbortSignal,
): Promise<Duplex> {
  await inspectDial(options);
  const { hostname } = target;
  const roots = options.roots ?? await runtime.systemRoots();
  const address = formatTarget(target);
  const secured: ConnectionOptions = {
    host: hostname,
    servername: isIP(hostname) === 0 ? hostname : undefined,
    minVersion: MIN_VERSION,
    ...runtime.sharesContexts ? await contextOf(options) : {},
    ca: roots === undefined ? undefined : [...roots],
    cert: options.identity?.certificate,
    key: options.identity?.key,
    // Judged below, with all there is to know, before anything is sent.
    rejectUnauthorized: false,
  };
  const explain = (error: TlsError | null) =>
    error && clientTlsError(address, error);
  const unanswered = (error: LimpetError | null) =>
    error === null || error.code === "connection_lost"
      ? unansweredError(address, options.identity !== undefined, error)
      : error;
  const { raw, socket, records, certificate, failure } = await openSecure(
    runtime.canLand,
    target,
    secured,
    signal,
  );
  let serverCertificateHash: Uint8Array;
  try {
    serverCertificateHash = await judged(socket, certificate, options);
    // It was told to nobody else: the streams begin to listen only now.
    const error = failure();
    if (error !== null || socket.destroyed) {
      throw unanswered(explain(error) ?? lostError(error));
    }
  } catch (error) {
    drop(raw, socket);
    throw error;
  }
  return tlsDuplex({
    raw,
    secure: socket,
    info: {
      serverCertificateHash,
      ...exporterOf(() => socket, runtime.canExport),
    },
    records,
    unanswered,
    explain,
  }, runtime);
}

/** Resolves to the hash of the server's certificate if the judge is content. */
async function judged(
  socket: TLSSocket,
  { raw, valid_from, valid_to }: PeerCertificate,
  { judge }: TlsDialOptions,
): Promise<Uint8Array> {
  // A resumed session shows the certificate of an earlier connection, and Deno
  // calls that authorized. We never ask for one.
  if (raw === undefined || socket.isSessionReused()) {
    throw new LimpetError(
      "connection_failed",
      "The server's certificate cannot be seen on this connection",
    );
  }
  const { createHash } = await import("node:crypto");
  const hash = Uint8Array.from(createHash("sha256").update(raw).digest());
  judge(shown(socket, hash, {
    notBefore: Date.parse(valid_from),
    notAfter: Date.parse(valid_to),
  }));
  return hash;
}

function shown(
  { authorized, authorizationError: error }: TLSSocket,
  hash: Uint8Array,
  validity: { notBefore: number; notAfter: number },
): ShownCertificate {
  if (authorized) return { hash, problem: null, detail: "" };
  // A code alone on Node, an error with one on the others.
  const code = typeof error === "string" ? error : codeOf(error);
  return {
    hash,
    problem: problemOf(code, validity, Date.now()),
    detail: code ?? "not authorized",
  };
}
