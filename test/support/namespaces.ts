/**
 * A network of its own for a server and a client: two network namespaces and a
 * cable between them. Linux alone, as root, with iproute2.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import process from "node:process";
import { program } from "./runtimes.ts";

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

/**
 * Why this machine cannot have one whose sockets can be closed; null if it can.
 * Root of a container often may not, and not every kernel closes sockets. Throws
 * if a program is missing.
 */
export function whyNoNetwork(): string | null {
  if (process.getuid?.() !== 0) return "only root makes network namespaces";
  try {
    using network = makeNetwork();
    const [command, ...args] = network.server.before;
    run(command, ...args, program("node"), "--eval", CLOSES_SOCKETS);
    return null;
  } catch (error) {
    const { code, message, stderr } = error as Error & {
      code?: string;
      stderr?: Uint8Array;
    };
    if (code === "ENOENT") throw error;
    const told = new TextDecoder().decode(stderr).trim().split("\n")[0];
    return `no network to break here: ${told || message}`;
  }
}

/** Connects to itself, and fails unless `ss -K` leaves nothing of that. */
const CLOSES_SOCKETS = `
const { execFileSync } = require("node:child_process");
const { connect, createServer } = require("node:net");
const stdio = ["ignore", "pipe", "ignore"];
const to = ["dst", "127.0.0.1"];
const server = createServer((socket) => socket.on("error", () => {}));
server.listen(0, "127.0.0.1", () => {
  const socket = connect(server.address().port, "127.0.0.1", () => {
    execFileSync("ss", ["-K", ...to], { stdio });
    const listed = ["-Htn", "state", "established", ...to];
    const left = execFileSync("ss", listed, { stdio });
    if (left.length === 0) process.exit(0);
    console.error("ss -K closes no socket (the kernel's INET_DIAG_DESTROY)");
    process.exit(1);
  });
  socket.on("error", () => {});
});
`;

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
