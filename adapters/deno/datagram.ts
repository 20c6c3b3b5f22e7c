/**
 * The lab's UDP sockets.
 *
 * `Deno.listenDatagram` is there with `--unstable-net` alone; the repository's
 * own deno.json turns it on.
 *
 * @module
 */

import { closedError, datagramError } from "../../core/adapter/lab_error.ts";
import { listenError } from "../../core/adapter/os_error.ts";
import { LimpetError } from "../../core/errors.ts";
import {
  type LabDatagrams,
  MAX_DATAGRAM_BYTES,
} from "../../core/lab/sockets.ts";
import { osError } from "./errors.ts";

/** See `LabSockets.bindDatagrams`. */
// deno-lint-ignore require-await -- what it throws is to be a rejection
export async function bindDatagrams(): Promise<LabDatagrams> {
  const socket = open();
  let isOpen = true;
  return {
    address: { hostname: "127.0.0.1", port: portOf(socket.addr) },
    async send(bytes, to): Promise<void> {
      if (!isOpen) throw closedError("send");
      try {
        await socket.send(bytes, { transport: "udp", ...to });
      } catch (error) {
        const { byteLength } = bytes;
        throw datagramError(byteLength, MAX_DATAGRAM_BYTES, osError(error));
      }
    },
    async receive(maxBytes): Promise<Uint8Array> {
      if (!isOpen) throw closedError("receive");
      try {
        const [bytes] = await socket.receive(new Uint8Array(maxBytes));
        return bytes;
      } catch (error) {
        throw isOpen ? error : closedError("receive");
      }
    },
    close(): void {
      if (isOpen) socket.close();
      isOpen = false;
    },
  };
}

function open(): Deno.DatagramConn {
  if (typeof Deno.listenDatagram !== "function") {
    throw new LimpetError(
      "unsupported",
      "Deno has no UDP sockets unless it is started with --unstable-net: put " +
        'it after "deno run", or run from Limpet\'s own folder',
    );
  }
  try {
    return Deno.listenDatagram({
      transport: "udp",
      hostname: "127.0.0.1",
      port: 0,
    });
  } catch (error) {
    throw listenError("udp://127.0.0.1:0", osError(error));
  }
}

function portOf(address: Deno.Addr): number {
  return "port" in address ? address.port : 0;
}
