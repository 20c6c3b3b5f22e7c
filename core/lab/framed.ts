/**
 * The cure: messages over the very same sockets, each in one of Limpet's
 * frames. This is all it takes: the length goes first.
 *
 * @module
 */

import { Decoder } from "../frame/decoder.ts";
import { encodeFrame, FIRST_OPTIONAL_TYPE } from "../frame/frame.ts";
import { sendAll } from "./naive.ts";
import type { LabSocket } from "./sockets.ts";

/** Sends and receives whole messages over a socket that knows no boundaries. */
export class FramedSocket {
  readonly #socket: LabSocket;
  readonly #recvBytes: number;
  readonly #decoder: Decoder;

  /**
   * `recvBytes` is what is given to each `recv`, and does not matter;
   * `maxMessage` is the longest message accepted, in bytes.
   */
  constructor(socket: LabSocket, recvBytes: number, maxMessage: number) {
    this.#socket = socket;
    this.#recvBytes = recvBytes;
    this.#decoder = new Decoder(maxMessage);
  }

  /** Sends one message. Resolves to the number of `send` calls it took. */
  async send(message: Uint8Array): Promise<number> {
    // Not DATA: that is a stream, whose pieces the decoder hands out as it
    // gets them.
    const frame = { type: FIRST_OPTIONAL_TYPE, stream: 0, channel: 0 };
    const bytes = encodeFrame({ ...frame, payload: message });
    return await sendAll(this.#socket, bytes);
  }

  /** The next message, whole; null at the end of the connection. */
  async receive(): Promise<Uint8Array | null> {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame !== undefined) return frame.payload;
      const bytes = await this.#socket.recv(this.#recvBytes);
      if (bytes === null) {
        this.#decoder.end();
        return null;
      }
      this.#decoder.push(bytes);
    }
  }
}
