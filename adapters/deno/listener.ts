/**
 * Listening for connections.
 *
 * @module
 */

import { listenError } from "../../core/adapter/os_error.ts";
import type { Duplex, Listener, SocketTarget } from "../../core/ports.ts";
import { formatTarget } from "../../core/target.ts";
import { duplexOf } from "./connection.ts";
import { codeOf, osError } from "./errors.ts";

/** Connections that the kernel keeps for us until we accept them. */
const BACKLOG = 1_024;

/** After an accept that failed: time for a descriptor to become free. */
const ACCEPT_PAUSE_MS = 50;

type DenoListener = Deno.TcpListener | Deno.UnixListener;

/**
 * Listens. Rejects with a `LimpetError` `connection_failed`. A Unix socket gets
 * mode 0600; one that nobody answers on any more is replaced.
 */
export async function listenPlain(target: SocketTarget): Promise<Listener> {
  let listener: DenoListener;
  try {
    try {
      listener = bind(target);
    } catch (error) {
      if (target.kind !== "unix") throw error;
      await makeRoom(target.path, error);
      listener = bind(target);
    }
    if (target.kind === "unix") Deno.chmodSync(target.path, 0o600);
  } catch (error) {
    throw listenError(formatTarget(target), osError(error));
  }
  let open = true;
  return {
    address: addressOf(listener, target),
    close(): Promise<void> {
      if (open) {
        open = false;
        listener.close();
        if (target.kind === "unix") remove(target.path);
      }
      return Promise.resolve();
    },
    [Symbol.asyncIterator]: () => ({
      next: () => accept(listener, () => open),
    }),
  };
}

function bind(target: SocketTarget): DenoListener {
  return target.kind !== "unix"
    ? Deno.listen({
      hostname: target.hostname,
      port: target.port,
      tcpBacklog: BACKLOG,
    })
    : Deno.listen({ transport: "unix", path: target.path });
}

/** The next connection, however many cannot be accepted before it (EMFILE). */
async function accept(
  listener: DenoListener,
  isOpen: () => boolean,
): Promise<IteratorResult<Duplex>> {
  while (isOpen()) {
    try {
      return { done: false, value: duplexOf(await listener.accept()) };
    } catch {
      if (!isOpen()) break;
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
    }
  }
  return { done: true, value: undefined };
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
  if (codeOf(error) !== "EADDRINUSE") throw error;
  if (!Deno.lstatSync(path).isSocket) throw NOT_A_SOCKET;
  if (!(await isRefused(path))) throw error;
  Deno.removeSync(path);
}

async function isRefused(path: string): Promise<boolean> {
  try {
    const probe = await Deno.connect({ transport: "unix", path });
    probe.close();
    return false;
  } catch (error) {
    return codeOf(error) === "ECONNREFUSED";
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Somebody was faster.
  }
}

function addressOf({ addr }: DenoListener, target: SocketTarget): string {
  return formatTarget(
    "hostname" in addr
      ? { kind: "tcp", hostname: addr.hostname, port: addr.port }
      : target,
  );
}
