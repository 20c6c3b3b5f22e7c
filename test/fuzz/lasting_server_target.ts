/**
 * A server that keeps sessions and jobs, hostile clients that come back, and jobs
 * of somebody who means well. Each case has a server of its own: what one leaves
 * there must not be another's.
 *
 * @module
 */

import { connect } from "../../core/client.ts";
import { jobs } from "../../core/jobs/client.ts";
import { memoryFiles } from "../support/memory_files.ts";
import { pair } from "../support/pair.ts";
import { FuzzedServer, HONEST } from "./fuzzed_server.ts";
import { makeScript } from "./generate.ts";
import { seedNonces } from "./inline_crypto.ts";
import { LastingPlayer } from "./lasting_player.ts";
import { Prng } from "./prng.ts";
import { orHang } from "./problems.ts";
import { HONEST_TOKEN, TLS } from "./secrets.ts";
import type { Script } from "./script.ts";
import { readSome } from "./server_target.ts";
import { count, type Target } from "./target.ts";

/** Small, so that what is to be kept within them gets there. */
const LIMITS = {
  graceMs: 60_000,
  maxReplayBytes: 6_000,
  maxJobs: 5,
  maxSpoolBytes: 65_536,
  maxTotalSpoolBytes: 80_000,
};

/** It costs as much as an attack. */
const HONEST_EVERY = 4;

/** One of those that attackers name. */
const JOB_ID = "a";

/** See the module's description. */
export class LastingServerTarget implements Target<Script> {
  readonly reached: Map<string, number> = new Map();

  make(rng: Prng): Script {
    return makeScript("client", rng, true);
  }

  async run(script: Script): Promise<string[]> {
    seedNonces(new Prng(script.seed, 1));
    const files = memoryFiles();
    const fuzzed = new FuzzedServer({ limits: LIMITS, files }, this.reached);
    const several = script.seed % 3 !== 0;
    const honest = several && script.seed % HONEST_EVERY === 0;
    const over: Promise<void>[] = [];
    const dial = () => {
      const [clientEnd, serverEnd] = pair(4_096).map((end) => ({
        ...end,
        tls: TLS[script.tls ?? "none"],
      }));
      over.push(fuzzed.server.accept(serverEnd));
      return Promise.resolve(clientEnd);
    };
    // Before it, for it tells who may come.
    fuzzed.begin(script, several);
    const sent = new Prng(script.seed, 3).bytes(700);
    if (honest) await leaveJob(dial, sent);
    fuzzed.begin(script, several);
    const player = new LastingPlayer("client", dial);
    await player.play(script);
    await player.drop();
    const problems = honest ? await findJob(dial, sent) : [];
    await orHang(fuzzed.server.close(0), "The server does not end");
    await orHang(Promise.all(over), "The server has not let go of a client");
    count(this.reached, `connections ${player.count}`);
    for (const path of files.files.keys()) {
      if (path.includes("/.lock.")) problems.push(`Its lock is left: ${path}`);
      else if (!/^\/jobs\/\w+\.[0-9a-f]{24}\/[\w+-]+\/[a-z.0-9]+$/.test(path)) {
        problems.push(`A file where none should be: ${path}`);
      }
    }
    return [
      ...problems,
      ...player.problems,
      ...fuzzed.check(script, player.strayed),
    ];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type Dial = () => Promise<Parameters<typeof connect>[0]>;

async function open(dial: Dial) {
  return await connect(await dial(), {
    token: HONEST_TOKEN,
    jobs,
    limits: { keepaliveMs: Infinity },
  });
}

/** A job with that for its output, which has ended. */
async function leaveJob(dial: Dial, sent: Uint8Array): Promise<void> {
  const session = await open(dial);
  const job = session.spawn("cat", {
    env: { [HONEST]: "1" },
    stdin: "piped",
    stderr: "null",
    jobId: JOB_ID,
    onDisconnect: "detach",
  });
  const writer = job.stdin.getWriter();
  const writing = writer.write(sent).then(() => writer.close());
  await orHang(job.status, "The honest client waits for its job");
  await writing.catch(() => {});
  await job.stdout.cancel();
  await session.close();
}

/** What is wrong with it afterwards. */
async function findJob(dial: Dial, sent: Uint8Array): Promise<string[]> {
  try {
    const session = await open(dial);
    const ids = (await session.jobs().list()).map(({ id }) => id);
    const job = session.attach(JOB_ID, { stderr: "null" });
    const got = await orHang(
      readSome(job.stdout, sent.byteLength),
      "The honest client waits for what its job wrote",
    );
    const { success } = await orHang(job.status, "And for its end");
    await job.stdout.cancel();
    await session.close();
    if (ids.join() !== JOB_ID) return [`The honest client has jobs: ${ids}`];
    return success && got.every((byte, i) => byte === sent[i])
      ? []
      : ["The honest client's job is another one"];
  } catch (error) {
    return [`The honest client was disturbed: ${error}`];
  }
}
