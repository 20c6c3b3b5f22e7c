/**
 * A network of its own for a server and a client: two network namespaces and a
 * cable between them. Linux alone, as root, with iproute2.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import process from "node:process";

/** Where one end of the cable is. */
export interface End {
  /** What starts a program there. */
  readonly before: readonly string[];
  /** `ip` with these arguments, of this end's network. */
  ip(...args: readonly string[]): void;
  /** Closes the TCP connections that this end has to an address, as a reset. */
  killSockets(address: string): void;
}

/** See the module's description. */
export interface Network extends Disposable {
  readonly server: End;
  readonly client: End;
}

export const SERVER_ADDRESS = "10.66.0.1";
/** The one that the client has, and another one that it may be given. */
export const CLIENT_ADDRESSES = ["10.66.0.2", "10.66.0.3"] as const;

/** The interface's name at either end. */
export const CABLE = "cable";

/** Makes one. */
export function makeNetwork(): Network {
  const names = ["server", "client"].map((end) =>
    `limpet-${process.pid}-${end}`
  );
  const remove = () => {
    for (const name of names) {
      try {
        run("ip", "netns", "del", name);
      } catch {
        // It was never made.
      }
    }
  };
  try {
    for (const name of names) {
      run("ip", "netns", "add", name);
      run("ip", "-n", name, "link", "set", "lo", "up");
    }
    const [server, client] = names;
    const peer = ["peer", "name", CABLE, "netns", client];
    const cable = ["link", "add", CABLE, "netns", server, "type", "veth"];
    run("ip", ...cable, ...peer);
    [SERVER_ADDRESS, CLIENT_ADDRESSES[0]].forEach((address, i) => {
      run("ip", "-n", names[i], "addr", "add", `${address}/24`, "dev", CABLE);
      run("ip", "-n", names[i], "link", "set", CABLE, "up");
    });
    return {
      server: endOf(server),
      client: endOf(client),
      [Symbol.dispose]: remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function endOf(name: string): End {
  const before = ["ip", "netns", "exec", name];
  return {
    before,
    ip: (...args) => run("ip", "-n", name, ...args),
    killSockets: (address) => {
      const [program, ...rest] = [...before, "ss", "-K", "dst", address];
      run(program, ...rest);
    },
  };
}

function run(program: string, ...args: readonly string[]): void {
  // `ss -K` complains about kinds of sockets that the kernel cannot close.
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
}
