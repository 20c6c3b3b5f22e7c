/**
 * The lab's sockets: a read and a write of Deno's are single calls already.
 *
 * Permissions: `--allow-net`.
 *
 * @module
 */

import { closedError } from "../../core/adapter/lab_error.ts";
import {
  connectError,
  listenError,
  lostError,
} from "../../core/adapter/os_error.ts";
import type {
  LabListener,
  LabSocket,
  LabSockets,
} from "../../core/lab/sockets.ts";
import { formatTarget } from "../../core/target.ts";
import { bindDatagrams } from "./datagram.ts";
import { osError } from "./errors.ts";

/** See the module's description. */
export const labSockets: LabSockets = { listen, dial, bindDatagrams };

// deno-lint-ignore require-await -- what it throws is to be a rejection
async function listen(port: number): Promise<LabListener> {
  const hostname = "127.0.0.1";
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (error) {
    const address = formatTarget({ kind: "tcp", hostname, port });
    throw listenError(address, osError(error));
  }
  let open = true;
  return {
    address: { hostname, port: listener.addr.port },
    async accept(): Promise<LabSocket> {
      if (!open) throw closedError("accept");
      try {
        return labSocket(await listener.accept());
      } catch (error) {
        throw open ? lostError(osError(error)) : closedError("accept");
      }
    },
    close(): void {
      if (open) listener.close();
      open = false;
    },
  };
}

async function dial(
  to: { readonly hostname: string; readonly port: number },
): Promise<LabSocket> {
  try {
    return labSocket(await Deno.connect({ ...to }));
  } catch (error) {
    // The lab's servers are its own: there is nothing to be started.
    throw connectError(
      formatTarget({ kind: "tcp", ...to }),
      osError(error),
      "",
    );
  }
}

function labSocket(conn: Deno.TcpConn): LabSocket {
  let open = true;
  const failed = (error: unknown, doing: string): Error =>
    open ? lostError(osError(error)) : closedError(doing);
  return {
    async recv(maxBytes): Promise<Uint8Array | null> {
      if (!open) throw closedError("recv");
      const buffer = new Uint8Array(maxBytes);
      try {
        const count = await conn.read(buffer);
        return count === null ? null : buffer.subarray(0, count);
      } catch (error) {
        throw failed(error, "recv");
      }
    },
    async send(bytes): Promise<number> {
      if (!open) throw closedError("send");
      try {
        return await conn.write(bytes);
      } catch (error) {
        throw failed(error, "send");
      }
    },
    setNoDelay: (on) => conn.setNoDelay(on),
    close(): void {
      if (open) conn.close();
      open = false;
    },
  };
}
