/**
 * A client's process and a server's, and between them what breaks: nothing may be
 * lost, nothing may come twice, and nothing may be left.
 *
 * @module
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { expect } from "vitest";
import {
  type ClientProcess,
  type Done,
  startClient,
} from "./client_process.ts";
import { eventually } from "./leaks.ts";
import { childrenOf, helpersOf } from "./proc.ts";
import { openOf } from "./processes.ts";
import { type Runtime, THIS_RUNTIME } from "./runtimes.ts";
import { PARTNER, type ServerProcess, startServer } from "./servers.ts";

/** How many cuts, if the tests about them are run by hand; or undefined. */
export const BY_HAND: string | undefined = process.env.LIMPET_CUTS;

/** What chance there is comes from this. */
export const SEED = Number(process.env.LIMPET_CUTS_SEED ?? Date.now() % 1e9);

/**
 * Client and server: one pair for each of the three runs of the suite; by hand
 * all four of Node and Deno, or those that are named.
 */
export const PAIRS: readonly (readonly [Runtime, Runtime])[] =
  BY_HAND === undefined
    ? [[THIS_RUNTIME, PARTNER]]
    : (process.env.LIMPET_CUTS_PAIRS ??
      "node-node,node-deno,deno-node,deno-deno").split(",")
      .map((pair) => pair.split("-") as [Runtime, Runtime]);

/** By hand, with 1,000 cuts, it takes minutes. */
export const PATIENCE_MS = 1_800_000;

/** Silence of so long is asked about, and of twice as long is a loss. */
const KEEPALIVE_MS = 300;

/** Where both are, and what they do. */
export interface Setting {
  /** The address to listen at, what it takes, and what starts the server there. */
  readonly listen?: string;
  readonly flags?: readonly string[];
  readonly beforeServer?: readonly string[];
  readonly beforeClient?: readonly string[];
  /** Bytes through one command, in place of the script of commands. */
  readonly bytes?: number;
  /** Puts something in front of the server's address, and says where. */
  readonly through?: (address: string) => Promise<string>;
}

/** What came of it. */
export interface Figures extends Done {
  readonly seconds: number;
  readonly absences: readonly number[];
  /** The server's descriptors, before and after, but for a helper's. */
  readonly before: number;
  readonly after: number;
}

/** Runs a session until `act` has settled, and checks it. */
export async function broken(
  [client, server]: readonly [Runtime, Runtime],
  { listen, flags = [], beforeServer, beforeClient, bytes, through }: Setting,
  act: (client: ClientProcess, server: ServerProcess) => Promise<void>,
): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), "limpet-cuts-"));
  const file = join(folder, "started");
  await using served = await startServer(
    server,
    [
      "-v",
      `--keepalive=${KEEPALIVE_MS}ms`,
      "--jobs-dir",
      join(folder, "jobs"),
      ...flags,
    ],
    {},
    { listen, before: beforeServer },
  );
  const task = { token: served.token, keepaliveMs: KEEPALIVE_MS, file };
  const { address } = served;
  // What the server's runtime opens once and keeps is open from here on.
  const warming = { ...task, address, bytes: 1, file: join(folder, "warm") };
  const warm = await startClient(client, warming, beforeClient);
  await warm.stop();
  await warm.close();
  const isIdle = () => childrenOf(served.pid).length === 0;
  const runs = () => `the server runs ${childrenOf(served.pid)}`;
  await eventually(isIdle, runs);
  // A helper and its two pipes come when the server has been busy, and stay.
  const open = () => openOf(served.pid) - 2 * helpersOf(served.pid).length;
  const before = open();
  const dialled = await through?.(address) ?? address;
  const own = { ...task, bytes, address: dialled };
  const one = await startClient(client, own, beforeClient);
  const since = performance.now();
  await act(one, served);
  const done = await one.stop();
  const seconds = (performance.now() - since) / 1_000;
  const absences = one.absences();
  await one.close();
  await eventually(
    () => open() <= before && isIdle(),
    () => `it holds ${open()} descriptors, ${before} before; ${runs()}`,
  );
  const after = open();
  const lines = readFileSync(file, "utf8").trimEnd().split("\n").map(Number);
  rmSync(folder, { recursive: true });
  expect(done.problems).toEqual([]);
  expect(done.over).toBe(false);
  // Each command once, whoever began first.
  expect(lines.toSorted((a, b) => a - b))
    .toEqual(Array.from({ length: done.started }, (_, i) => i));
  return { ...done, seconds, absences, before, after };
}
