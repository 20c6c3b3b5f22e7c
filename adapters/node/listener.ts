/**
 * Listening for connections.
 *
 * @module
 */

import { chmodSync, closeSync, lstatSync, openSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { devNull } from "node:os";
import { dirname } from "node:path";
import { listenError } from "../../core/adapter/os_error.ts";
import type { Duplex, Listener, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import { duplexOf, SOCKET_OPTIONS } from "./connection.ts";
import { codeOf, osError } from "./errors.ts";

/** Connections that the kernel keeps for us until we accept them. */
const BACKLOG = 1_024;

/**
 * Listens. Rejects with a `LimpetError` `connection_failed`. A Unix socket gets
 * mode 0600; one that nobody answers on any more is replaced.
 */
export async function listenPlain(
  target: SocketTarget,
  toDuplex: (socket: Socket) => Duplex = duplexOf,
): Promise<Listener> {
  const queue = new Queue();
  const spare = "bun" in process.versions ? new SpareDescriptor() : null;
  const server = createServer(SOCKET_OPTIONS, (socket) => {
    if (spare?.isSpent()) socket.destroy();
    else queue.push(toDuplex(socket));
  });
  try {
    try {
      await bind(server, target);
    } catch (error) {
      if (target.kind !== "unix") throw error;
      await makeRoom(target.path, error);
      await bind(server, target);
    }
    if (target.kind === "unix") chmodSync(target.path, 0o600);
  } catch (error) {
    server.close();
    spare?.close();
    throw listenError(formatTarget(target), osError(error));
  }
  // A connection that could not be accepted (EMFILE) must not end the rest.
  server.on("error", () => {});
  return {
    address: addressOf(server, target),
    close(): Promise<void> {
      // Not waiting for its callback, which comes after the last connection.
      // The socket file goes with it.
      server.close();
      spare?.close();
      queue.close();
      return Promise.resolve();
    },
    [Symbol.asyncIterator]: () => queue,
  };
}

function bind(server: Server, target: SocketTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(
      target.kind !== "unix"
        ? { host: target.hostname, port: target.port, backlog: BACKLOG }
        : { path: target.path, backlog: BACKLOG },
      () => {
        server.off("error", reject);
        resolve();
      },
    );
  });
}

/** What the OS would say if it were asked to connect here. */
const NOT_A_SOCKET = Object.assign(new Error("Not a socket"), {
  code: "ENOTSOCK",
});

/**
 * Removes a socket file that was left by a server that is gone. Throws if there
 * is anything else, the error of binding unless a better one is known.
 */
async function makeRoom(path: string, error: unknown): Promise<void> {
  // Node says EACCES for a directory that is not there.
  lstatSync(dirname(path));
  if (codeOf(error) !== "EADDRINUSE") throw error;
  if (!lstatSync(path).isSocket()) throw NOT_A_SOCKET;
  if (!(await isRefused(path))) throw error;
  unlinkSync(path);
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error) => resolve(codeOf(error) === "ECONNREFUSED"));
  });
}

function addressOf(server: Server, target: SocketTarget): string {
  const address = server.address();
  if (address === null || typeof address === "string") {
    return formatTarget(target);
  }
  return formatTarget({
    kind: target.kind === "tls" ? "tls" : "tcp",
    hostname: address.address,
    port: address.port,
  });
}

/** How often to look whether a descriptor can still be had. */
const SPARE_POLL_MS = 250;

/**
 * Bun says nothing of a connection that it has no descriptor for, and tries to
 * accept it again and again, at the cost of a whole processor, for as long as the
 * client waits. So one descriptor is kept; when there is no other left it is let
 * go, and whoever gets in by it is turned away: what libuv does by itself.
 */
class SpareDescriptor {
  #fd: number | null = openSync(devNull, "r");
  readonly #poll = setInterval(() => {
    if (this.isSpent() || canOpen()) return;
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }, SPARE_POLL_MS).unref();

  /** Whether it was let go, and cannot be had again. */
  isSpent(): boolean {
    try {
      this.#fd ??= openSync(devNull, "r");
      return false;
    } catch {
      return true;
    }
  }

  close(): void {
    clearInterval(this.#poll);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

function canOpen(): boolean {
  try {
    closeSync(openSync(devNull, "r"));
    return true;
  } catch {
    return false;
  }
}

/** Connections between Node's event and whoever iterates. */
class Queue implements AsyncIterator<Duplex> {
  #waiting: ((result: IteratorResult<Duplex>) => void)[] = [];
  #ready: Duplex[] = [];
  #closed = false;

  push(duplex: Duplex): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting({ done: false, value: duplex });
    else if (this.#closed) drop(duplex);
    else this.#ready.push(duplex);
  }

  next(): Promise<IteratorResult<Duplex>> {
    const value = this.#ready.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#closed = true;
    for (const duplex of this.#ready.splice(0)) drop(duplex);
    for (const waiting of this.#waiting.splice(0)) {
      waiting({ done: true, value: undefined });
    }
  }
}

function drop(duplex: Duplex): void {
  duplex.readable.cancel().catch(() => {});
  duplex.writable.abort().catch(() => {});
}
