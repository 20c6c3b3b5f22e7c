/**
 * The lab's sockets. `node:net` only opens and closes them: it reads ahead and
 * queues what it writes, which is what the lab wants to show the absence of. So
 * it is never let read, and the calls are made on the descriptor.
 *
 * @module
 */

import { readSync, writeSync } from "node:fs";
import { createServer, Socket } from "node:net";
import { closedError } from "../../core/adapter/lab_error.ts";
import {
  connectError,
  listenError,
  lostError,
} from "../../core/adapter/os_error.ts";
import { deferred } from "../../core/deferred.ts";
import type {
  LabAddress,
  LabListener,
  LabSocket,
  LabSockets,
} from "../../core/lab/sockets.ts";
import { formatTarget } from "../../core/target.ts";
import { bindDatagrams } from "./datagram.ts";
import { codeOf, osError } from "./errors.ts";

/** Between two looks at a descriptor that was not ready: nothing wakes us. */
const LOOK_AGAIN_MS = 1;

/** See the module's description. */
export const labSockets: LabSockets = { listen, dial, bindDatagrams };

async function listen(port: number): Promise<LabListener> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  const ready: LabSocket[] = [];
  const waiting: ReturnType<typeof deferred<LabSocket>>[] = [];
  server.on("connection", (socket) => {
    const next = waiting.shift();
    const accepted = labSocket(socket);
    if (next === undefined) ready.push(accepted);
    else next.resolve(accepted);
  });
  const bound = deferred<void>();
  server.once("error", bound.reject);
  try {
    server.listen(port, "127.0.0.1", bound.resolve);
    await bound.promise;
  } catch (error) {
    throw listenError(formatTarget(at(port)), osError(error));
  }
  // A connection that cannot be accepted is its client's matter.
  server.on("error", () => {});
  const address = server.address();
  return {
    address: {
      hostname: "127.0.0.1",
      port: address !== null && typeof address === "object" ? address.port : 0,
    },
    async accept(): Promise<LabSocket> {
      const socket = ready.shift();
      if (socket !== undefined) return socket;
      if (!server.listening) throw closedError("accept");
      const next = deferred<LabSocket>();
      waiting.push(next);
      return await next.promise;
    },
    close(): void {
      server.close();
      for (const socket of ready.splice(0)) socket.close();
      for (const next of waiting.splice(0)) next.reject(closedError("accept"));
    },
  };
}

function dial(to: LabAddress): Promise<LabSocket> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ allowHalfOpen: true });
    // Before there is anything to read.
    socket.pause();
    const failed = (error: Error): void => {
      reject(
        // The lab's servers are its own: there is nothing to be started.
        connectError(formatTarget({ kind: "tcp", ...to }), osError(error), ""),
      );
    };
    socket.once("error", failed);
    socket.connect({ host: to.hostname, port: to.port }, () => {
      socket.off("error", failed);
      socket.pause();
      resolve(labSocket(socket));
    });
  });
}

function labSocket(socket: Socket): LabSocket {
  let open = true;
  let failure: unknown = null;
  // Bun notices a reset by itself, and then the descriptor is gone.
  socket.on("error", (error) => failure = error);

  /** Repeats one call until it is not for want of bytes or room that it fails. */
  async function once(doing: string, call: (fd: number) => number) {
    for (;;) {
      if (!open) throw closedError(doing);
      const fd = descriptorOf(socket);
      if (fd === null) {
        throw lostError(failure === null ? null : osError(failure));
      }
      try {
        return call(fd);
      } catch (error) {
        if (codeOf(error) !== "EAGAIN") throw lostError(osError(error));
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  return {
    async recv(maxBytes): Promise<Uint8Array | null> {
      const buffer = new Uint8Array(maxBytes);
      const count = await once("recv", (fd) => readSync(fd, buffer));
      return count === 0 ? null : buffer.subarray(0, count);
    },
    send: (bytes) => once("send", (fd) => writeSync(fd, bytes)),
    setNoDelay(on): void {
      // Bun turns it on by itself and does nothing for what it takes to be so.
      socket.setNoDelay(!on);
      socket.setNoDelay(on);
    },
    close(): void {
      open = false;
      socket.destroy();
    },
  };
}

/** Null once the socket is closed. No public name for it exists. */
function descriptorOf(socket: Socket): number | null {
  if (!("_handle" in socket)) return null;
  const handle = socket._handle;
  if (typeof handle !== "object" || handle === null) return null;
  const fd = "fd" in handle ? handle.fd : null;
  return typeof fd === "number" && fd >= 0 ? fd : null;
}

function at(port: number): { kind: "tcp"; hostname: string; port: number } {
  return { kind: "tcp", hostname: "127.0.0.1", port };
}
