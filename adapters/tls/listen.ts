/**
 * Listening for TLS connections.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { lostError } from "../../core/adapter/os_error.ts";
import type { LimpetError } from "../../core/errors.ts";
import type { MachineListener } from "../../core/machine.ts";
import type {
  ClientCertificate,
  Duplex,
  SocketTarget,
} from "../../core/ports.ts";
import { serverTlsError } from "../../core/tls/failure.ts";
import type { TlsListenOptions } from "../../core/tls/options.ts";
import { osError } from "../node/errors.ts";
import { listenPlain } from "../node/listener.ts";
import { exporterOf, tlsDuplex } from "./connection.ts";
import { inspectTls } from "./identity.ts";
import type { TlsRuntime } from "./runtime.ts";

/** SHA-256. */
type Hash = (bytes: Uint8Array) => Uint8Array;

/**
 * Listens. Connections are given out when they are accepted, so that whoever
 * takes them can count them and put an end to a handshake that takes too long:
 * reading waits for the handshake, and fails if that does.
 */
export async function listen(
  runtime: TlsRuntime,
  target: SocketTarget,
  options: TlsListenOptions,
): Promise<MachineListener> {
  const { createHash } = await import("node:crypto");
  const hash: Hash = (bytes) =>
    Uint8Array.from(createHash("sha256").update(bytes).digest());
  let shown = await showing(options, hash);
  const listener = await listenPlain(target, (raw): Duplex => {
    const { handshakes, serverCertificateHash } = shown;
    const { secure, socket } = handshakes.begin(raw);
    const info = {
      serverCertificateHash,
      ...exporterOf(socket, runtime.canExport),
      get clientCertificate(): ClientCertificate | undefined {
        return clientOf(socket(), hash);
      },
    };
    return tlsDuplex({ raw, secure, info, explain: serverTlsError }, runtime);
  });
  return {
    ...listener,
    async renewTls(options) {
      shown = await showing(options, hash);
    },
  };
}

/** What connections are met with; those under way keep what they began with. */
interface Shown {
  readonly handshakes: Handshakes;
  readonly serverCertificateHash: Uint8Array;
}

async function showing(options: TlsListenOptions, hash: Hash): Promise<Shown> {
  await inspectTls(options);
  const { X509Certificate } = await import("node:crypto");
  const { createServer } = await import("node:tls");
  const { identity: { certificate, key }, clientRoots } = options;
  const server = createServer({
    cert: certificate,
    key,
    minVersion: "TLSv1.3",
    // The deadline is the one of whoever takes the connection.
    handshakeTimeout: 0x7fff_ffff,
    ...(clientRoots === undefined ? {} : {
      ca: [...clientRoots],
      requestCert: true,
      rejectUnauthorized: true,
    }),
  });
  return {
    handshakes: new Handshakes(server),
    serverCertificateHash: hash(new X509Certificate(certificate).raw),
  };
}

function clientOf(
  socket: TLSSocket | null,
  hash: Hash,
): ClientCertificate | undefined {
  const shown = socket?.authorized ? socket.getPeerCertificate() : undefined;
  if (shown?.raw === undefined) return undefined;
  const { CN } = shown.subject ?? {};
  return { hash: hash(shown.raw), commonName: String(CN ?? "") };
}

/** A connection whose handshake is under way. */
interface Pending {
  readonly raw: Socket;
  done(socket: TLSSocket): void;
  failed(error: LimpetError): void;
}

/** What a handshake will come to. */
interface Handshake {
  readonly secure: Promise<TLSSocket>;
  /** Null until then. */
  readonly socket: () => TLSSocket | null;
}

/** Handshakes under way, by the two addresses of their connection. */
class Handshakes {
  readonly #pending = new Map<string, Pending>();
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    server.on("secureConnection", (socket) => this.#find(socket)?.done(socket));
    server.on("tlsClientError", (error, socket) => {
      const known = osError(refusal(socket) ?? error);
      this.#find(socket)?.failed(serverTlsError(known) ?? lostError(known));
    });
  }

  begin(raw: Socket): Handshake {
    let socket: TLSSocket | null = null;
    const place = placeOf(raw);
    const secure = new Promise<TLSSocket>((resolve, reject) => {
      const failed = (error: LimpetError): void => {
        this.#pending.delete(place);
        hangUp(raw, error);
        reject(error);
      };
      this.#pending.set(place, {
        raw,
        done: (secured) => {
          this.#pending.delete(place);
          raw.allowHalfOpen = true;
          secured.allowHalfOpen = true;
          socket = secured;
          resolve(secured);
        },
        failed,
      });
      // What is told after it knows more.
      raw.on("error", () => {}).once("close", () => {
        setImmediate(() => {
          if (socket === null) failed(lostError(null));
        });
      });
    });
    secure.catch(() => {});
    // Half a handshake is none: a client that ends its side is gone.
    raw.allowHalfOpen = false;
    this.#server.emit("connection", raw);
    return { secure, socket: () => socket };
  }

  #find(socket: TLSSocket): Pending | undefined {
    if (socket.remotePort !== undefined) {
      return this.#pending.get(placeOf(socket));
    }
    // Deno does not know any more where the client was.
    return [...this.#pending.values()].find(({ raw }) => raw.destroyed);
  }
}

/** Both ends: from one port a client can reach several addresses of ours. */
function placeOf(socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return [remoteAddress, remotePort, localAddress, localPort].join(" ");
}

/** Node gives a wrong client certificate away here alone. */
function refusal({ authorizationError: error }: TLSSocket): unknown {
  return typeof error === "string" ? { code: error } : error;
}

/** What every TLS library says to one that speaks something else. */
const PROTOCOL_VERSION_ALERT = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 70);

function hangUp(raw: Socket, { code }: LimpetError): void {
  if (code !== "protocol_error" || !raw.writable) {
    raw.destroy();
    return;
  }
  // Every one but Node's, by which a plain client learns what it has met.
  raw.end(PROTOCOL_VERSION_ALERT, () => raw.destroy());
}
