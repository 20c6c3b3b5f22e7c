import { expect, test } from "vitest";
import type { Channel } from "../core/channel/channel.ts";
import { decodeControl, encodeControl } from "../core/frame/control.ts";
import { objectsIn } from "../core/frame/lists.ts";
import { FrameType } from "../core/frame/frame.ts";
import { jobs } from "../core/jobs/client.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { jobSession } from "./support/jobs.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { isOurs } from "./support/runtimes.ts";
import { serving } from "./support/serving.ts";

/** One job of an answer. */
function job(id: string, more: object = {}): object {
  const none = { onDisconnect: "detach", argv: ["x"], startedAt: 1 };
  return { id, state: "running", ...none, ...more };
}

/** The list of a server that answers so, and how often it was asked. */
function listOf(answer: (after: string | undefined) => object) {
  let asked = 0;
  const openChannel = () => {
    const channel: Partial<Channel> = {
      handler: null,
      end: () => {},
      send: (_type: number, body: object) => {
        asked++;
        const { after } = body as { after?: string };
        const payload = encodeControl(answer(after));
        queueMicrotask(() =>
          channel.handler!.message({
            type: FrameType.RESULT,
            stream: 0,
            channel: 1,
            payload,
          })
        );
      },
    };
    return channel as Channel;
  };
  return { listed: jobs({ openChannel }).list(), asked: () => asked };
}

test.each<[string, (after: string | undefined) => object]>([
  ["the same page again and again", () => ({ jobs: [job("a")], more: true })],
  ["a page that goes back", (after) => ({
    jobs: after === undefined ? [job("b"), job("c")] : [job("a")],
    more: true,
  })],
  ["an empty page, and more", () => ({ jobs: [], more: true })],
])("a list with %s is no list", async (_, answer) => {
  const { listed, asked } = listOf(answer);
  await expect(listed).rejects.toMatchObject({ code: "protocol_error" });
  expect(asked()).toBeLessThanOrEqual(2);
});

test.each(["--token-file=x", "\x1b[31m", "a b", "", "x/y", "b"])(
  "what a server calls a job, %j, is no flag of ours and nothing else",
  async (jobId) => {
    const channel = { end: () => {}, send: () => {} };
    const openChannel = () => channel as unknown as Channel;
    const none = { stdout: "null", stderr: "null" } as const;
    const attached = jobs({ openChannel }).attach("a", none);
    const started = jsonFrame(FrameType.STARTED, { pid: 1, jobId }, 1);
    expect(() => attached.message(started)).toThrow("jobId");
    // That one is an id, though not of the job that was asked for.
    if (jobId === "b") return;
    const { listed } = listOf(() => ({ jobs: [job(jobId)] }));
    await expect(listed).rejects.toMatchObject({ code: "protocol_error" });
  },
);

// Their megabytes are core's alone: on Node by number, on Deno by length.
const ENDLESS: [string, (id: string) => object[]][] = [
  [
    "number",
    (id) => Array.from({ length: 10_000 }, (_, i) => job(`${id}${10_000 + i}`)),
  ],
  ["length", (id) => [job(id, { argv: ["x".repeat(10_000_000)] })]],
];

test.each(ENDLESS.filter((_, i) => isOurs(i)))(
  "a list without an end ends, by its %s",
  async (_, page) => {
    let next = 100;
    const { listed, asked } = listOf(() => ({
      jobs: page(`j${next++}`),
      more: true,
    }));
    await expect(listed).rejects.toMatchObject({ code: "limit_exceeded" });
    expect(asked()).toBe(7);
  },
);

test("behind an id that is gone comes the next one, not all once more", async () => {
  const exit = { code: 0, signal: null };
  await using served = await serving({}, fakeSpawner({ exit }));
  await using session = await jobSession(served);
  for (const jobId of ["z", "b", "x"]) await session.output("true", { jobId });
  const peer = new RawPeer(await served.dial());
  const ask = { kind: "jobs", op: "list", after: "gone" };
  await peer.authenticate({}, jsonFrame(FrameType.OPEN, ask, 1));
  const { payload } = await peer.expect(FrameType.RESULT);
  const listed = objectsIn(decodeControl(payload, "RESULT"), "jobs");
  expect(listed.map((each) => each.text("id"))).toEqual(["x", "z"]);
  await peer.drop();
  // Clients get them as they began.
  expect((await session.jobs().list()).map(({ id }) => id).sort())
    .toEqual(["b", "x", "z"]);
});
