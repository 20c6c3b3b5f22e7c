import process from "node:process";
import { expect, test } from "vitest";
import { fuzz, report, type Run } from "./fuzz/run.ts";

/** Another one each time: what one run does not find, the next may. */
const seed = Number(
  process.env.LIMPET_FUZZ_SEED ?? crypto.getRandomValues(new Uint32Array(1))[0],
);

/** A slow machine, and other files beside this one. */
const PATIENCE_MS = 600_000;

/** So many times the cases, where they have not been everywhere yet. */
const MOST_TIMES = 10;

/**
 * Runs it: nothing goes wrong. That means nothing unless the cases get somewhere:
 * to all of `wanted`, by name, some of which is rare.
 */
async function survives(
  run: Omit<Run, "seed" | "from">,
  wanted: readonly string[],
): Promise<void> {
  const missing = new Set(wanted);
  for (let times = 0; times < MOST_TIMES; times++) {
    const from = times * run.cases;
    const { finding, reached } = await fuzz({ ...run, seed, from });
    if (finding !== null) expect.fail(report(finding));
    for (const name of reached.keys()) missing.delete(name);
    if (missing.size === 0) return;
  }
  expect.fail(`No case of seed ${seed} came to: ${[...missing].join(", ")}`);
}

test("the codec takes any bytes, wherever they are cut", async () => {
  await survives({ target: "decoder", cases: 3_000 }, [
    "end protocol_error",
    "end limit_exceeded",
  ]);
}, PATIENCE_MS);

test(
  "no client brings our server down, or runs a command uninvited",
  async () => {
    await survives({ target: "server", cases: 500 }, [
      "known as alice",
      "known as bob",
      "known as default",
      "command_started",
      "command_ended",
      "command_refused",
      "end protocol_error",
      "end limit_exceeded",
      "end connection_lost",
      "end unauthenticated",
    ]);
  },
  PATIENCE_MS,
);

test("no server brings our client down, or is believed unproved", async () => {
  await survives({ target: "client", cases: 500 }, [
    "The platform",
    "The process id",
    "The status",
    "Output",
    "Connecting: protocol_error",
    "The status: connection_lost",
    "The status: unauthenticated",
  ]);
}, PATIENCE_MS);

test(
  "nobody has another's session or jobs by coming back, or loses their own",
  async () => {
    await survives({ target: "lasting-server", cases: 150 }, [
      "suspended",
      "resumed",
      "job_attached",
      "command_ended",
      "connections 2",
    ]);
  },
  PATIENCE_MS,
);

test("no server has our client go on with what is not so", async () => {
  await survives({ target: "lasting-client", cases: 120 }, [
    "disconnected",
    "resumed",
    "That it goes on",
  ]);
}, PATIENCE_MS);

test(
  "no raw client has a request run, or leaves a command behind",
  async () => {
    await survives({ target: "raw-server", cases: 300 }, [
      "turned_away",
      "command_ended",
      "command_refused",
    ]);
  },
  PATIENCE_MS,
);

test("no raw server makes its client invent or lose a byte", async () => {
  await survives({ target: "raw-client", cases: 300 }, [
    "answered",
    "end connection_lost",
    "end protocol_error",
  ]);
}, PATIENCE_MS);

test("the same seed makes the same cases", async () => {
  const run = { target: "server", seed: 4_711, from: 20, cases: 30 } as const;
  const [once, again] = [await fuzz(run), await fuzz(run)];
  expect([...again.reached]).toEqual([...once.reached]);
}, PATIENCE_MS);
