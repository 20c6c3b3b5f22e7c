/**
 * The lab's UDP sockets. As with TCP, the runtime opens and closes them, and
 * receiving is a call on the descriptor: `node:dgram` itself always reads with
 * a buffer that holds any datagram.
 *
 * @module
 */

import type { Socket } from "node:dgram";
import { readSync } from "node:fs";
import { closedError, datagramError } from "../../core/adapter/lab_error.ts";
import { listenError } from "../../core/adapter/os_error.ts";
import { LimpetError } from "../../core/errors.ts";
import {
  type LabAddress,
  type LabDatagrams,
  MAX_DATAGRAM_BYTES,
} from "../../core/lab/sockets.ts";
import { codeOf, osError } from "./errors.ts";

/** Between two looks at a descriptor that was not ready: nothing wakes us. */
const LOOK_AGAIN_MS = 1;

/** A UDP socket that its runtime opened. */
interface Opened {
  readonly port: number;
  readonly fd: number;
  send(bytes: Uint8Array, to: LabAddress): Promise<void>;
  close(): void;
  /** Whether the runtime has read a datagram before us. */
  robbed(): boolean;
}

/** See `LabSockets.bindDatagrams`. */
export async function bindDatagrams(): Promise<LabDatagrams> {
  let open = true;
  const socket = await (runsOnBun() ? openOnBun() : openOnNode())
    .catch((error) => {
      if (error instanceof LimpetError) throw error;
      throw listenError("udp://127.0.0.1:0", osError(error));
    });
  return {
    address: { hostname: "127.0.0.1", port: socket.port },
    async send(bytes, to): Promise<void> {
      if (!open) throw closedError("send");
      await socket.send(bytes, to).catch((error) => {
        throw datagramError(
          bytes.byteLength,
          MAX_DATAGRAM_BYTES,
          osError(error),
        );
      });
    },
    async receive(maxBytes): Promise<Uint8Array> {
      const buffer = new Uint8Array(maxBytes);
      for (;;) {
        if (!open) throw closedError("receive");
        if (socket.robbed()) throw robbedError();
        try {
          return buffer.subarray(0, readSync(socket.fd, buffer));
        } catch (error) {
          if (codeOf(error) !== "EAGAIN") throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
      }
    },
    close(): void {
      if (open) socket.close();
      open = false;
    },
  };
}

async function openOnNode(): Promise<Opened> {
  // Loaded here, because no other part of the program needs it.
  const { createSocket } = await import("node:dgram");
  const socket = createSocket("udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, "127.0.0.1", resolve);
  });
  socket.on("error", () => {});
  const fd = stopReading(socket);
  if (fd === null) {
    socket.close();
    throw unknownSocket("This version of Node hides the socket's descriptor");
  }
  return {
    port: socket.address().port,
    fd,
    send: (bytes, { hostname, port }) =>
      new Promise((resolve, reject) => {
        socket.send(bytes, port, hostname, (error) => {
          if (error) reject(error);
          else resolve();
        });
      }),
    close: () => socket.close(),
    robbed: () => false,
  };
}

/**
 * Takes the socket out of Node's hands, which would read by itself; the result
 * is its descriptor. Not by way of `_handle`, which prints a warning.
 */
function stopReading(socket: Socket): number | null {
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    const state: unknown = Reflect.get(socket, symbol);
    const handle = field(state, "handle");
    const fd = field(handle, "fd");
    const stop = field(handle, "recvStop");
    if (typeof fd === "number" && fd >= 0 && typeof stop === "function") {
      stop.call(handle);
      return fd;
    }
  }
  return null;
}

/** As much of Bun's own UDP socket as is needed here. */
interface BunSocket {
  readonly port: number;
  readonly fd: number;
  send(bytes: Uint8Array, port: number, hostname: string): boolean;
  close(): void;
}

function runsOnBun(): boolean {
  return "Bun" in globalThis;
}

/**
 * Bun's event loop reads what it finds, and cannot be stopped. But its `send`
 * is synchronous, and a datagram is there when it returns: whoever then receives
 * without letting the loop turn comes first.
 */
async function openOnBun(): Promise<Opened> {
  let robbed = false;
  const open = field(Reflect.get(globalThis, "Bun"), "udpSocket");
  if (typeof open !== "function") {
    throw unknownSocket("This version of Bun has no UDP sockets");
  }
  const socket: BunSocket = await open({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => robbed = true, error: () => {} },
  });
  if (typeof socket.fd !== "number") {
    socket.close();
    throw unknownSocket("This version of Bun hides the socket's descriptor");
  }
  return {
    port: socket.port,
    fd: socket.fd,
    // deno-lint-ignore require-await -- what it throws is to be a rejection
    async send(bytes, { hostname, port }): Promise<void> {
      if (socket.send(bytes, port, hostname)) return;
      throw Object.assign(new Error("No room to send"), { code: "EAGAIN" });
    },
    close: () => socket.close(),
    robbed: () => robbed,
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && name in value
    ? Reflect.get(value, name)
    : undefined;
}

function unknownSocket(what: string): LimpetError {
  return new LimpetError(
    "unsupported",
    `${what}, without which a datagram cannot be received as a program in C ` +
      "would: run this on another version or on Deno",
  );
}

function robbedError(): LimpetError {
  return new LimpetError(
    "unsupported",
    "Bun has read a datagram by itself, whole, before it could be received " +
      "with a buffer of a given size: run this on Node or on Deno",
  );
}
