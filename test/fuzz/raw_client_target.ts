/**
 * Our client of the lesson's protocol, and a hostile server.
 *
 * @module
 */

import { RawClient } from "../../core/raw/client.ts";
import { RECV_BYTES } from "../../core/raw/receiver.ts";
import { concat } from "../support/bytes.ts";
import { pair } from "../support/pair.ts";
import { settle } from "./player.ts";
import { Prng } from "./prng.ts";
import { orHang, wrongWith } from "./problems.ts";
import { makeRawScript, sentBytes } from "./raw_generate.ts";
import { RawPlayer } from "./raw_player.ts";
import type { Script } from "./script.ts";
import { count, type Target } from "./target.ts";

/** See the module's description. */
export class RawClientTarget implements Target<Script> {
  readonly reached: Map<string, number> = new Map();

  make(rng: Prng): Script {
    return makeRawScript(rng);
  }

  async run(script: Script): Promise<string[]> {
    const [clientEnd, serverEnd] = pair(4_096);
    const client = new RawClient(clientEnd);
    const problems: string[] = [];
    const gone = new AbortController();
    const got: Uint8Array[] = [];
    const fails = (error: unknown) => {
      const problem = wrongWith(error);
      if (problem !== null) problems.push(problem);
      const { code } = error as { code?: string };
      count(this.reached, `end ${code}`);
      return code;
    };
    const using = (async () => {
      const rng = new Prng(script.seed, 2);
      for (let asks = 1 + rng.below(8); asks > 0 && !gone.signal.aborted;) {
        // Waits for ever, until somebody has enough.
        const patience = rng.oneIn(8)
          ? { ms: rng.below(3) }
          : { ms: 60_000, signal: gone.signal };
        const line = rng.bytes(rng.pick([0, 5, 3_000]));
        try {
          const bytes = rng.oneIn(2)
            ? await client.recv(patience)
            : await client.ask(line, patience);
          got.push(bytes);
          count(this.reached, "answered");
          if (bytes.byteLength === 0 || bytes.byteLength > RECV_BYTES) {
            problems.push(`One recv brought ${bytes.byteLength} bytes`);
          }
        } catch (error) {
          if (fails(error) !== "timed_out") break;
        }
        asks--;
      }
    })();
    const player = new RawPlayer(serverEnd);
    await player.play(script);
    player.unmute();
    await settle();
    gone.abort();
    await player.drop();
    await orHang(using, "The client still waits for a server that has gone");
    client.close();
    const end = await orHang(client.ended, "The client's end");
    if (end !== null) fails(end);
    const sent = concat(sentBytes(script));
    const whole = concat(got);
    if (whole.some((byte, i) => byte !== sent[i])) {
      problems.push("What was received is not what was sent");
    }
    return [...player.problems, ...problems];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
