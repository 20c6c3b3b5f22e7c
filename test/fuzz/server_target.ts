/**
 * Our server, hostile clients, and one client that means well all the while.
 *
 * @module
 */

import { connect, type Session } from "../../core/client.ts";
import type { RemoteCommand } from "../../core/exec/client.ts";
import { pair } from "../support/pair.ts";
import { FuzzedServer, HONEST } from "./fuzzed_server.ts";
import { makeScript } from "./generate.ts";
import { seedNonces } from "./inline_crypto.ts";
import { Player, settle } from "./player.ts";
import { Prng } from "./prng.ts";
import { orHang } from "./problems.ts";
import { TLS, TOKEN } from "./secrets.ts";
import type { Script } from "./script.ts";
import type { Target } from "./target.ts";

/** It costs as much as an attack: so it is there for every so many of them. */
const HONEST_EVERY = 4;

/** See the module's description. */
export class ServerTarget implements Target<Script> {
  readonly reached: Map<string, number> = new Map();
  readonly #fuzzed: FuzzedServer;
  #honest: Session | null = null;
  #served = 0;

  constructor() {
    // Sessions of one case must not be there in the next.
    this.#fuzzed = new FuzzedServer({ limits: { graceMs: 0 } }, this.reached);
  }

  make(rng: Prng): Script {
    return makeScript("client", rng);
  }

  async run(script: Script): Promise<string[]> {
    seedNonces(new Prng(script.seed, 1));
    const honest = script.seed % HONEST_EVERY === 0
      ? await this.#beginHonest()
      : null;
    this.#fuzzed.begin(script, script.seed % 3 !== 0);
    const [clientEnd, serverEnd] = pair(4_096).map((end) => ({
      ...end,
      tls: TLS[script.tls ?? "none"],
    }));
    const over = this.#fuzzed.server.accept(serverEnd);
    const player = new Player("client", clientEnd);
    await player.play(script);
    player.unmute();
    await settle();
    await player.drop();
    await orHang(over, "The server has not let go of a client that has gone");
    return [
      ...player.problems,
      ...this.#fuzzed.check(script, player.strayed),
      ...(honest === null ? [] : await this.#endHonest(honest)),
    ];
  }

  async close(): Promise<void> {
    await this.#honest?.close();
    await this.#fuzzed.server.close();
  }

  /** A command that is there from before the attack to after it. */
  async #beginHonest(): Promise<RemoteCommand> {
    if (this.#honest === null) {
      const [clientEnd, serverEnd] = pair();
      this.#fuzzed.server.accept(serverEnd);
      this.#honest = await connect(clientEnd, {
        token: TOKEN,
        limits: { keepaliveMs: Infinity },
      });
    }
    const command = this.#honest.spawn("cat", {
      env: { [HONEST]: "1" },
      stdin: "piped",
      stderr: "null",
    });
    await command.pid;
    return command;
  }

  async #endHonest(command: RemoteCommand): Promise<string[]> {
    const sent = new Prng(++this.#served).bytes(700);
    try {
      const writer = command.stdin.getWriter();
      writer.write(sent).catch(() => {});
      const got = await orHang(
        readSome(command.stdout, sent.byteLength),
        "The honest client waits for its bytes",
      );
      writer.close().catch(() => {});
      const status = await orHang(command.status, "The honest client waits");
      if (!status.success) return [`The honest command: ${status.code}`];
      if (got.some((byte, i) => byte !== sent[i])) {
        return ["The honest client got other bytes than it should"];
      }
      await command.stdout.cancel();
      return [];
    } catch (error) {
      await this.#honest?.close();
      this.#honest = null;
      return [`The honest client was disturbed: ${error}`];
    }
  }
}

/** So many bytes of a stream. */
export async function readSome(
  stream: ReadableStream<Uint8Array>,
  count: number,
): Promise<Uint8Array> {
  const reader = stream.getReader();
  const bytes = new Uint8Array(count);
  let at = 0;
  while (at < count) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Its output ended after ${at} bytes`);
    bytes.set(value.subarray(0, count - at), at);
    at += value.byteLength;
  }
  reader.releaseLock();
  return bytes;
}
