import process from "node:process";
import { expect, test } from "vitest";
import { fuzz, report, type Run } from "./fuzz/run.ts";

/** Another one each time: what one run does not find, the next may. */
const seed = Number(
  process.env.LIMPET_FUZZ_SEED ?? crypto.getRandomValues(new Uint32Array(1))[0],
);

/** A slow machine, and other files beside this one. */
const PATIENCE_MS = 600_000;

/** Runs it, and returns what the cases came to, by name. */
async function survives(run: Omit<Run, "seed" | "from">): Promise<string[]> {
  const { finding, reached } = await fuzz({ ...run, seed, from: 0 });
  if (finding !== null) expect.fail(report(finding));
  return [...reached.keys()];
}

// That nothing goes wrong means nothing unless the cases get somewhere.

test("the codec takes any bytes, wherever they are cut", async () => {
  const reached = await survives({ target: "decoder", cases: 3_000 });
  expect(reached).toContain("end protocol_error");
  expect(reached).toContain("end limit_exceeded");
}, PATIENCE_MS);

test(
  "no client brings our server down, or runs a command uninvited",
  async () => {
    const reached = await survives({ target: "server", cases: 500 });
    for (
      const event of [
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
      ]
    ) expect(reached).toContain(event);
  },
  PATIENCE_MS,
);

test("no server brings our client down, or is believed unproved", async () => {
  const reached = await survives({ target: "client", cases: 500 });
  for (
    const outcome of [
      "The platform",
      "The process id",
      "The status",
      "Output",
      "Connecting: protocol_error",
      "The status: connection_lost",
      "The status: unauthenticated",
    ]
  ) expect(reached).toContain(outcome);
}, PATIENCE_MS);

test(
  "nobody has another's session or jobs by coming back, or loses their own",
  async () => {
    const reached = await survives({ target: "lasting-server", cases: 150 });
    for (
      const event of [
        "suspended",
        "resumed",
        "job_attached",
        "command_ended",
        "connections 2",
      ]
    ) expect(reached).toContain(event);
  },
  PATIENCE_MS,
);

test("no server has our client go on with what is not so", async () => {
  const reached = await survives({ target: "lasting-client", cases: 120 });
  for (const outcome of ["disconnected", "resumed", "That it goes on"]) {
    expect(reached).toContain(outcome);
  }
}, PATIENCE_MS);

test(
  "no raw client has a request run, or leaves a command behind",
  async () => {
    const reached = await survives({ target: "raw-server", cases: 300 });
    for (const event of ["turned_away", "command_ended", "command_refused"]) {
      expect(reached).toContain(event);
    }
  },
  PATIENCE_MS,
);

test("no raw server makes its client invent or lose a byte", async () => {
  const reached = await survives({ target: "raw-client", cases: 300 });
  for (
    const outcome of ["answered", "end connection_lost", "end protocol_error"]
  ) expect(reached).toContain(outcome);
}, PATIENCE_MS);

test("the same seed makes the same cases", async () => {
  const run = { target: "server", seed: 4_711, from: 20, cases: 30 } as const;
  const [once, again] = [await fuzz(run), await fuzz(run)];
  expect([...again.reached]).toEqual([...once.reached]);
}, PATIENCE_MS);
