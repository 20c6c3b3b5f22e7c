/**
 * A TCP proxy in front of a server, whose connections a test can break.
 *
 * @module
 */

import { connect as dialTcp, createServer, type Socket } from "node:net";
import { adapter } from "./adapter.ts";
import type { Duplex } from "../../core/ports.ts";

/** How a connection is broken. */
export type Break =
  /** Both sides see a reset. */
  | "reset"
  /** Both sides see a clean end. */
  | "close"
  /** Nothing passes any more, and nobody is told. */
  | "stall";

/** Where in its handshake a new connection falls silent. */
export type Hush =
  /** From its first byte on. */
  | "at once"
  /** The server hears the client, and its answer does not come. */
  | "hello"
  /** The server gets the client's proof, and its own does not come. */
  | "proof";

/** See the module's description. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** Connections that came, whether or not any got through. */
  readonly count: number;
  /** Bytes that went through, both ways. */
  readonly bytes: number;
  /** While it is true, new connections are closed as soon as they come. */
  refusing: boolean;
  /** So the next connections stall, one after another. */
  readonly hushed: Hush[];
  /** Breaks all connections that there are. */
  cut(how: Break): void;
  /** A client's way through it. */
  dial(signal?: AbortSignal): Promise<Duplex>;
}

/** Sees what passes through one connection, as it comes. */
export interface Tap {
  client(bytes: Uint8Array): void;
  server(bytes: Uint8Array): void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  stalled: boolean;
}

/**
 * Starts one in front of that port of the loopback interface. `tap` is asked for
 * each connection.
 */
export async function proxyTo(
  port: number,
  tap?: () => Tap,
): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let count = 0;
  let bytes = 0;
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    count++;
    client.on("error", () => {});
    if (proxy.refusing) return client.destroy();
    const server = dialTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
    const pair: Pair = { client, server, stalled: false };
    pairs.add(pair);
    const seen = tap?.();
    const passes = hushing(proxy.hushed.shift());
    const join = (
      from: Socket,
      to: Socket,
      see?: (bytes: Uint8Array) => void,
    ) => {
      from.on("data", (chunk: Uint8Array) => {
        if (pair.stalled || !passes(from === client)) return;
        bytes += chunk.byteLength;
        see?.(chunk);
        if (to.write(chunk)) return;
        from.pause();
        to.once("drain", () => from.resume());
      });
      from.on("end", () => pair.stalled || to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => {
        pairs.delete(pair);
        to.destroySoon();
      });
    };
    join(client, server, seen && ((bytes) => seen.client(bytes)));
    join(server, client, seen && ((bytes) => seen.server(bytes)));
  });
  await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
  const address = listener.address();
  if (address === null || typeof address === "string") {
    throw new Error("No port");
  }
  const proxy: Proxy = {
    port: address.port,
    refusing: false,
    hushed: [],
    get count() {
      return count;
    },
    get bytes() {
      return bytes;
    },
    cut(how) {
      for (const pair of pairs) {
        const { client, server } = pair;
        pair.stalled = true;
        if (how === "stall") continue;
        for (const socket of [client, server]) {
          if (how === "reset") socket.resetAndDestroy();
          else socket.end(() => socket.destroy());
        }
        pairs.delete(pair);
      }
    },
    dial: (signal) =>
      adapter.dial(
        { kind: "tcp", hostname: "127.0.0.1", port: proxy.port },
        signal,
      ),
    [Symbol.asyncDispose]: async () => {
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      await new Promise<void>((done) => listener.close(() => done()));
    },
  };
  return proxy;
}

/** Tells of each chunk of a connection, the client's or the server's, if it passes. */
function hushing(how: Hush | undefined): (isClients: boolean) => boolean {
  let heard = false;
  let answered = false;
  return (isClients) => {
    if (how === undefined) return true;
    if (isClients) {
      answered ||= heard;
      return how !== "at once";
    }
    heard = true;
    return how === "proof" && !answered;
  };
}
