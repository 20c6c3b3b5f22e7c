/**
 * A real server in this process, and clients on real sockets.
 *
 * @module
 */

import process from "node:process";
import {
  connect,
  type ConnectOptions,
  type Session,
} from "../../core/client.ts";
import type { ServerLimits } from "../../core/server_limits.ts";
import type {
  Command,
  Duplex,
  Platform,
  SocketTarget,
  Spawner,
} from "../../core/ports.ts";
import {
  type ServeOptions,
  Server,
  type ServerEvent,
} from "../../core/server.ts";
import { adapter } from "./adapter.ts";
import { eventually } from "./leaks.ts";

/** The secret of every server in the suite that is not about secrets. */
export const TOKEN = "a-token-for-the-test-suite";

/** What test servers say of themselves. */
export const PLATFORM: Platform = {
  os: "linux",
  arch: "x86_64",
  shell: "/bin/sh",
  encoding: "utf-8",
  cwd: "/",
  runtime: "test",
};

type Disconnected = Extract<ServerEvent, { type: "disconnected" }>;

/** A server that listens on an ephemeral port of the loopback interface. */
export interface Serving extends AsyncDisposable {
  readonly server: Server;
  readonly target: SocketTarget & { kind: "tcp" };
  readonly events: ServerEvent[];
  /** Every command that the spawner was asked to start. */
  readonly spawned: Command[];
  dial(): Promise<Duplex>;
  connect(options?: Partial<ConnectOptions>): Promise<Session>;
  /** The ends of the connections so far. */
  disconnected(): Disconnected[];
  /** Waits until so many connections have ended. */
  untilDisconnected(count: number, ms?: number): Promise<Disconnected[]>;
}

/** Starts one. */
export async function serving(
  limits: Partial<ServerLimits> = {},
  spawner: Spawner = adapter.spawner,
  more: Partial<ServeOptions> = {},
): Promise<Serving> {
  const events: ServerEvent[] = [];
  const spawned: Command[] = [];
  const server = new Server({
    token: TOKEN,
    platform: PLATFORM,
    environment: () => ({ PATH: process.env.PATH ?? "/bin:/usr/bin" }),
    spawner: (command) => {
      spawned.push(command);
      return spawner(command);
    },
    limits,
    onEvent: (event) => events.push(event),
    ...more,
  });
  const listener = await adapter.listen({
    kind: "tcp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const listening = server.listen(listener);
  const port = Number(new URL(listener.address).port);
  const target = { kind: "tcp", hostname: "127.0.0.1", port } as const;
  const dial = () => adapter.dial(target);
  const disconnected = () =>
    events.filter((event) => event.type === "disconnected");
  return {
    server,
    target,
    events,
    spawned,
    dial,
    connect: (options) => connect(dial, { token: TOKEN, ...options }),
    disconnected,
    untilDisconnected: async (count, ms) => {
      await eventually(
        () => disconnected().length >= count,
        () => `${count} connections ended: ${JSON.stringify(disconnected())}`,
        ms,
      );
      return disconnected();
    },
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await listening;
    },
  };
}

/**
 * Real sockets, each with the next of these addresses, as if they came from
 * elsewhere: what is on this machine has no penalties.
 */
export function arriveFrom({ server }: Serving, next: () => string): void {
  const inner = server.accept.bind(server);
  server.accept = (duplex) =>
    inner({
      peer: next(),
      readable: duplex.readable,
      writable: duplex.writable,
      writev: duplex.writev?.bind(duplex),
    });
}

/**
 * Serves one command, so that the runtime has opened what it opens once and
 * keeps: to be done before a baseline of `checkLeaks`.
 */
export async function warmUp(): Promise<void> {
  await using served = await serving();
  await using session = await served.connect();
  await session.output("cat", { stdin: new Uint8Array(1) });
}
