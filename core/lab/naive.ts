/**
 * What the lesson's programs do with a socket besides `send` and `recv`.
 *
 * @module
 */

import type { LabSocket } from "./sockets.ts";

export { RECV_BYTES } from "../raw/receiver.ts";

/**
 * `sendall`: `send` again and again, each time with what the kernel did not
 * take. Resolves to the number of sends.
 */
export async function sendAll(
  socket: LabSocket,
  bytes: Uint8Array,
): Promise<number> {
  let sends = 0;
  for (let rest = bytes; rest.byteLength > 0; sends++) {
    rest = rest.subarray(await socket.send(rest));
  }
  return sends;
}

/** Every `recv` until so many bytes are here, or the peer has ended its side. */
export async function recvUntil(
  socket: LabSocket,
  total: number,
  recvBytes: number,
): Promise<Uint8Array[]> {
  const reads: Uint8Array[] = [];
  for (let left = total; left > 0;) {
    const bytes = await socket.recv(recvBytes);
    if (bytes === null) break;
    reads.push(bytes);
    left -= bytes.byteLength;
  }
  return reads;
}

/** What {@linkcode atMost} gives when the time is up: no `recv` gives that. */
export const LATE: unique symbol = Symbol("late");

/** The promise's value, or `LATE` if it takes longer; the promise goes on. */
export async function atMost<T>(
  ms: number,
  promise: Promise<T>,
): Promise<T | typeof LATE> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => resolve(LATE), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
