/**
 * Servers as a user has them: `limpet serve` in a process of its own, on any of
 * the runtimes.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, afterEach, beforeAll } from "vitest";
import {
  connect,
  type ConnectOptions,
  type Session,
} from "../../core/client.ts";
import type { Duplex } from "../../core/ports.ts";
import { makeToken } from "../../core/auth/token.ts";
import { parseAddress } from "../../core/target.ts";
import { adapter } from "./adapter.ts";
import { eventually } from "./leaks.ts";
import { childrenOf } from "./proc.ts";
import { cli, type Runtime, RUNTIMES, THIS_RUNTIME } from "./runtimes.ts";

/** How long a server may take to listen, and to stop. */
const PATIENCE_MS = 60_000;

/** How to connect to a server of this module. */
export interface ClientOptions extends Partial<ConnectOptions> {
  /** Something to put around the socket, e.g. one of `faults.ts`. */
  readonly wrap?: (duplex: Duplex) => Duplex;
}

/** A server in a process of its own. */
export interface ServerProcess extends AsyncDisposable {
  readonly runtime: Runtime;
  readonly address: string;
  readonly token: string;
  readonly tokenFile: string;
  readonly pid: number;
  /** What it has said on stderr so far. */
  log(): string;
  dial(): Promise<Duplex>;
  connect(options?: ClientOptions): Promise<Session>;
  /** SIGTERM; fails unless that makes it end. */
  stop(): Promise<void>;
}

/**
 * The server's runtime for one pair alone: Node and Deno meet one another, and Bun
 * meets itself.
 */
export const PARTNER: Runtime = ({
  node: "deno",
  deno: "node",
  bun: "bun",
} as const)[THIS_RUNTIME];

/**
 * The servers' runtimes for what moves bytes, and waits for them: Node and Deno
 * each meet themselves and one another. Bun, whose client and server are those of
 * Node's adapter, meets itself.
 */
export const SERVERS: readonly Runtime[] = THIS_RUNTIME === "bun"
  ? ["bun"]
  : [THIS_RUNTIME, PARTNER];

/**
 * And for how commands end (`exec_exit`), and what the command line passes on
 * (`cli_streams`): Bun's server meets the clients of both as well. All nine pairs
 * are for what passes every byte there is (`exec_streams`).
 */
export const ALL_SERVERS: readonly Runtime[] = THIS_RUNTIME === "bun"
  ? ["bun"]
  : RUNTIMES;

/**
 * The server's runtime for what one end alone is about, whoever the other one
 * is, and for what is too slow to be run against more: with each `turn` another
 * one, and never the same for two clients.
 */
export function serverFor(turn: number): Runtime {
  const here = RUNTIMES.indexOf(THIS_RUNTIME);
  return RUNTIMES[(here + turn) % RUNTIMES.length];
}

/**
 * One server for all tests of the enclosing block. After each of them, nothing
 * that it started for them may be left. What one that has failed has left is
 * killed: the others would each wait for it.
 */
export function useServer(
  runtime: Runtime,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): () => ServerProcess {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer(runtime, args, env);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") killChildrenOf(server.pid);
    await eventually(
      () => childrenOf(server.pid).length === 0,
      () => `children of the server are left: ${childrenOf(server.pid)}`,
    );
  });
  afterAll(async () => {
    await server?.stop();
  });
  return () => server;
}

/** With their groups, whose leaders they are. */
function killChildrenOf(pid: number): void {
  for (const child of childrenOf(pid)) {
    try {
      process.kill(-parseInt(child), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Where a server is: on a free port of the loopback interface by default. */
export interface Place {
  readonly listen?: string;
  /** What starts it there (`ip netns exec NAME`). */
  readonly before?: readonly string[];
}

/** Starts `limpet serve`. */
export async function startServer(
  runtime: Runtime,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  { listen = "tcp://127.0.0.1:0", before = [] }: Place = {},
): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), "limpet-server-"));
  const tokenFile = join(folder, "token");
  const token = makeToken();
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
  const [file, ...prefix] = [...before, ...cli(runtime)];
  const child = spawn(file, [
    ...prefix,
    "serve",
    listen,
    "--token-file",
    tokenFile,
    // A test that stops its server does not mean to wait for what still runs.
    "--drain=0s",
    ...args,
  ], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  let log = "";
  let ended = false;
  child.stderr.setEncoding("utf8").on("data", (text) => log += text);
  child.on("error", (error) => {
    log += String(error);
    ended = true;
  });
  child.on("exit", () => ended = true);
  const address = () => /listening on (tcp:\/\/[^\s,]+)/.exec(log)?.[1];
  const stop = async () => {
    if (!ended) child.kill("SIGTERM");
    try {
      await eventually(() => ended, () => `ended: ${log}`, PATIENCE_MS);
    } finally {
      if (!ended) child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  };
  try {
    await eventually(
      () => ended || address() !== undefined,
      () => `${runtime} server listens: ${log}`,
      PATIENCE_MS,
    );
    if (ended) throw new Error(`The ${runtime} server did not start: ${log}`);
  } catch (error) {
    await stop();
    throw error;
  }
  const target = parseAddress(address() ?? "");
  const dial = () => adapter.dial(target);
  return {
    runtime,
    address: address() ?? "",
    token,
    tokenFile,
    pid: child.pid ?? 0,
    log: () => log,
    dial,
    connect: async ({ wrap, ...options }: ClientOptions = {}) => {
      const duplex = await dial();
      return await connect(wrap?.(duplex) ?? duplex, { token, ...options });
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
