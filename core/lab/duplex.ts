/**
 * A socket of the lab as the byte stream that a Limpet session runs over, for a
 * client that is to go away in the rudest manner.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Duplex } from "../ports.ts";
import { sendAll } from "./naive.ts";
import type { LabSocket } from "./sockets.ts";

/** A connection that can be left in the middle. */
export interface RudeDuplex extends Duplex {
  /**
   * Stops reading, waits until the peer has sent more, and closes the socket
   * with that unread: the kernel answers the peer with a reset.
   */
  hangUp(): Promise<void>;
}

/** A {@linkcode RudeDuplex} over a socket that nobody else uses. */
export function rudeDuplex(socket: LabSocket): RudeDuplex {
  const gone = new LimpetError("connection_lost", "This client has hung up");
  let leaving = false;
  let reading: Promise<Uint8Array | null> = Promise.resolve(null);
  let fail = (_error: LimpetError) => {};
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      fail = (error) => controller.error(error);
    },
    async pull(controller) {
      if (leaving) return;
      reading = socket.recv(65_536);
      const bytes = await reading;
      if (bytes === null) controller.close();
      else controller.enqueue(bytes);
    },
    cancel: () => socket.close(),
  }, { highWaterMark: 0 });
  const writable = new WritableStream<Uint8Array>({
    write: async (bytes) => void await sendAll(socket, bytes),
    abort: () => socket.close(),
  });
  const hangUp = async () => {
    leaving = true;
    await reading;
    await socket.recv(1);
    socket.close();
    fail(gone);
  };
  return { readable, writable, hangUp, peer: "the lab" };
}
