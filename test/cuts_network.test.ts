/**
 * Real processes, and what becomes of a network or of a process beneath a session.
 * By hand, for all pairs of Node and Deno (see `cuts.test.ts`):
 *
 *     LIMPET_CUTS=1 npm test -- --only node test/cuts_network.test.ts
 */

import process from "node:process";
import { describe, expect, test } from "vitest";
import type { ClientProcess } from "./support/client_process.ts";
import { broken, PAIRS, PATIENCE_MS } from "./support/cuts.ts";
import { eventually } from "./support/leaks.ts";
import {
  CABLE,
  CLIENT_ADDRESSES,
  makeNetwork,
  SERVER_ADDRESS,
  whyNoNetwork,
} from "./support/namespaces.ts";
import type { ServerProcess } from "./support/servers.ts";

/** Waits until a client has noticed so many losses, and got over them. */
async function untilBack(client: ClientProcess, losses: number): Promise<void> {
  await untilLost(client, losses);
  await eventually(
    () => client.absences().length === client.losses().length,
    () => `it is back after each of ${client.losses()}`,
  );
}

async function untilLost(client: ClientProcess, losses: number): Promise<void> {
  await eventually(
    () => client.losses().length >= losses,
    () => `${losses} losses were noticed: ${client.losses()}`,
  );
}

/** How often the server has said something. */
function count(server: ServerProcess, words: RegExp): number {
  return server.log().match(words)?.length ?? 0;
}

const impossible = whyNoNetwork();

describe.each(PAIRS)("a client on %s, a server on %s", (...pair) => {
  test("in a network that fails them in every way", async ({ skip }) => {
    if (impossible !== null) skip(impossible);
    using network = makeNetwork();
    const { server, client } = network;
    const { absences } = await broken(pair, {
      listen: `tcp://${SERVER_ADDRESS}:0`,
      flags: ["--insecure", "--allow-root"],
      beforeServer: server.before,
      beforeClient: client.before,
    }, async (one) => {
      const losses = () => one.losses().length;
      // Reset, by either end.
      for (
        const reset of [
          () => client.killSockets(SERVER_ADDRESS),
          () => server.killSockets(CLIENT_ADDRESSES[0]),
        ]
      ) {
        const next = losses() + 1;
        reset();
        await untilBack(one, next);
      }
      // Nothing gets out, nothing gets through, nothing comes back: until it is
      // noticed, and then it does.
      const route = ["blackhole", `${SERVER_ADDRESS}/32`];
      const answer = ["blackhole", `${CLIENT_ADDRESSES[0]}/32`];
      for (
        const [end, off, on] of [
          [client, ["route", "add", ...route], ["route", "del", ...route]],
          [server, ["link", "set", CABLE, "down"], [
            "link",
            "set",
            CABLE,
            "up",
          ]],
          [server, ["route", "add", ...answer], ["route", "del", ...answer]],
        ] as const
      ) {
        const next = losses() + 1;
        end.ip(...off);
        await untilLost(one, next);
        end.ip(...on);
        await untilBack(one, next);
      }
      // Another address, as a laptop has in the next train.
      const [here, there] = CLIENT_ADDRESSES.map((address) => `${address}/24`);
      const next = losses() + 1;
      client.ip("addr", "del", here, "dev", CABLE);
      client.ip("addr", "add", there, "dev", CABLE);
      await untilBack(one, next);
    });
    console.log(`${pair.join(" to ")}: away for ${absences.join(", ")} ms`);
    expect(absences.length).toBeGreaterThanOrEqual(6);
  }, PATIENCE_MS);

  test("each stopped for longer than it may be silent", async () => {
    const { absences } = await broken(pair, {}, async (client, server) => {
      // The server: its client notices, and cannot come back before it goes on.
      process.kill(server.pid, "SIGSTOP");
      await untilLost(client, 1);
      process.kill(server.pid, "SIGCONT");
      await untilBack(client, 1);
      // The client: its server notices, and keeps what it runs.
      const words = /lost its connection and waits: .* has been silent for/g;
      const before = count(server, words);
      const losses = client.losses().length;
      process.kill(client.pid, "SIGSTOP");
      await eventually(() => count(server, words) > before, server.log);
      process.kill(client.pid, "SIGCONT");
      await untilBack(client, losses + 1);
    });
    console.log(`${pair.join(" to ")}: away for ${absences.join(", ")} ms`);
  }, PATIENCE_MS);
});
