/**
 * Connecting over TLS.
 *
 * @module
 */

import { isIP, type Socket } from "node:net";
import type { ConnectionOptions, PeerCertificate, TLSSocket } from "node:tls";
import { connectError, lostError } from "../../core/adapter/os_error.ts";
import { LimpetError } from "../../core/errors.ts";
import type { Duplex, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import {
  clientTlsError,
  hungUpError,
  problemOf,
  type TlsError,
  unansweredError,
} from "../../core/tls/failure.ts";
import type {
  ShownCertificate,
  TlsDialOptions,
} from "../../core/tls/options.ts";
import { codeOf, osError } from "../node/errors.ts";
import { connectTo } from "../node/connection.ts";
import { exporterOf, tlsDuplex } from "./connection.ts";
import { inspectDial } from "./identity.ts";
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
  const { connect } = await import("node:tls");
  const { hostname } = target;
  const roots = options.roots ?? await runtime.systemRoots();
  const address = formatTarget(target);
  const common = {
    host: hostname,
    servername: isIP(hostname) === 0 ? hostname : undefined,
    minVersion: "TLSv1.3",
    // Not among Node's types, but an option of every runtime's.
    allowHalfOpen: true,
    ca: roots === undefined ? undefined : [...roots],
    cert: options.identity?.certificate,
    key: options.identity?.key,
    // Judged below, with all there is to know, before anything is sent.
    rejectUnauthorized: false,
  } as const;
  const explain = (error: TlsError | null) =>
    error && clientTlsError(address, error);
  const unanswered = (error: LimpetError | null) =>
    error === null || error.code === "connection_lost"
      ? unansweredError(address, options.identity !== undefined, error)
      : error;
  const { raw, socket } = await connectTo(target, (raw) => {
    // Whatever befalls it is told by the socket on top.
    raw.on("error", () => {});
    const socket = connect({ socket: raw, ...common } as ConnectionOptions);
    return { raw, socket };
  }, signal);
  const shaking = handshake(address, raw, socket, signal);
  const { certificate, failure } = await shaking;
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
    unanswered,
    explain,
  }, runtime);
}

/** What a handshake has come to. */
interface Shaken {
  /** What the server has shown. */
  readonly certificate: PeerCertificate;
  /**
   * What has broken the connection since, if anything has. In TLS 1.3 a client is
   * done before the server has looked at its certificate, and a server that turns
   * it away says so at once.
   */
  readonly failure: () => TlsError | null;
}

function handshake(
  address: string,
  raw: Socket,
  socket: TLSSocket,
  signal: AbortSignal | undefined,
): Promise<Shaken> {
  return new Promise((resolve, reject) => {
    let failure: TlsError | null = null;
    const settle = (error: unknown): void => {
      signal?.removeEventListener("abort", aborted);
      socket.off("secureConnect", done).off("close", closed);
      if (error === undefined) return;
      drop(raw, socket);
      reject(error);
    };
    const done = (): void => {
      // Deno has none any more if the server has already hung up; why it did is
      // what comes next.
      const certificate = socket.getPeerCertificate() as PeerCertificate | null;
      if (certificate === null) return;
      resolve({ certificate, failure: () => failure });
      settle(undefined);
    };
    const aborted = (): void => settle(signal?.reason);
    const closed = (): void =>
      settle(hungUpError(address, { code: undefined, cause: undefined }));
    const failed = (error: Error): void => {
      const known = osError(error);
      const hungUp = known.code === "ECONNRESET" || known.code === "EPIPE";
      failure ??= known;
      settle(
        clientTlsError(address, known) ??
          (hungUp ? hungUpError(address, known) : connectError(address, known)),
      );
    };
    // Stays: there is always somebody to tell, and later the streams do.
    socket.on("error", failed);
    socket.once("secureConnect", done).once("close", closed);
    if (signal?.aborted) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
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

function drop(raw: Socket, socket: TLSSocket): void {
  socket.destroy();
  raw.destroy();
}
