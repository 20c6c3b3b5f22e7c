import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { Identities } from "../core/auth/identities.ts";
import { jobs } from "../core/jobs/client.ts";
import type { Session } from "../core/client.ts";
import { policyAuthorizer } from "../core/policy/authorizer.ts";
import { receive } from "./support/bytes.ts";
import { jobServer, jobSession, ownFolder, place } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { TOKEN, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

test("a policy's count is of jobs too, until they end", async () => {
  using here = place();
  const policy = { commands: [["**"]], detach: true, maxCommands: 1 };
  const authorize = policyAuthorizer({
    policyOf: () => policy,
    realPath: (path) => Promise.resolve(path),
  });
  await using served = await jobServer(here.jobs, {}, { authorize });
  const first = await jobSession(served);
  const options = { onDisconnect: "detach", jobId: "one" } as const;
  const start = (session: Session) =>
    session.spawn("sleep", { ...options, args: ["100"] });
  await start(first).pid;
  await first.close();
  await using second = await jobSession(served);
  // Whoever asks for the same one is not counted twice.
  await start(second).pid;
  await expect(second.output("true")).rejects.toMatchObject({
    code: "refused",
    message: expect.stringMatching(/allows 1 command at once/),
  });
  await second.jobs().job("one").kill();
  await second.jobs().job("one").wait();
  expect((await second.output("true")).code).toBe(0);
});

test("limits of jobs: at each of them, and one past it", async () => {
  using here = place();
  const limits = { maxJobs: 4, maxJobsPerIdentity: 3 };
  await using served = await jobServer(here.jobs, limits);
  await using session = await jobSession(served);
  const start = (jobId: string) =>
    session.spawn("sleep", { args: ["100"], jobId, onDisconnect: "detach" });
  const ids = async () => (await session.jobs().list()).map(({ id }) => id);
  for (const id of ["a", "b", "c"]) await start(id).pid;
  await expect(start("d").pid).rejects.toMatchObject({
    code: "limit_exceeded",
    message: expect.stringMatching(/maxJobsPerIdentity/),
  });
  // The same one is none more.
  await start("a").pid;
  await session.jobs().job("b").kill();
  await session.jobs().job("b").wait();
  await start("d").pid;
  expect(await ids()).toEqual(["a", "c", "d"]);
  // What nobody named or kept is not in anybody's way, and leaves no trace then.
  const child = session.spawn("true");
  await child.status;
  expect(await ids()).toEqual(["a", "c", "d"]);
  for (const id of ["a", "c", "d"]) {
    await session.jobs().job(id).kill("SIGKILL");
  }
});

test("maxJobs: those of all identities together, and one past it", async () => {
  using here = place();
  const known = ["ann", "bob"].map((name) => ({
    name,
    token: `${name}-${TOKEN}`,
  }));
  const authenticator = await Identities.from(known);
  await using served = await jobServer(here.jobs, { maxJobs: 2 }, {
    token: undefined,
    authenticator,
  });
  const open = (name: string) =>
    served.connect({ jobs, token: `${name}-${TOKEN}` });
  await using ann = await open("ann");
  await using bob = await open("bob");
  const start = (session: Session, jobId: string) =>
    session.spawn("sleep", { args: ["100"], jobId, onDisconnect: "keep" });
  await start(ann, "a").pid;
  await start(ann, "b").pid;
  const refused = {
    code: "limit_exceeded",
    message: expect.stringMatching(/limit maxJobs allows/),
  };
  await expect(start(bob, "c").pid).rejects.toMatchObject(refused);
  // What has ended makes room for who it belongs to, and for nobody else.
  await ann.jobs().job("a").kill();
  await ann.jobs().job("a").wait();
  await expect(start(bob, "c").pid).rejects.toMatchObject(refused);
  await start(ann, "d").pid;
  expect((await ann.jobs().list()).map(({ id }) => id)).toEqual(["b", "d"]);
  for (const id of ["b", "d"]) await ann.jobs().job(id).kill();
});

test("maxTotalSpoolBytes: at it nothing is lost, past it the oldest go", async () => {
  using here = place();
  await using served = await jobServer(here.jobs, {
    maxTotalSpoolBytes: 20_000,
  });
  await using session = await jobSession(served);
  const write = async (jobId: string, bytes: number) => {
    const child = session.spawn("head", {
      args: ["-c", String(bytes), "/dev/zero"],
      jobId,
      stderr: "null",
      onDisconnect: "detach",
    });
    const { bytes: read } = await receive(child.stdout);
    return [read.byteLength, child.dropped];
  };
  expect(await write("a", 10_000)).toEqual([10_000, 0]);
  expect(await write("b", 10_000)).toEqual([10_000, 0]);
  expect((await session.jobs().list()).map(({ id }) => id)).toEqual(["a", "b"]);
  expect(await write("c", 1)).toEqual([1, 0]);
  expect((await session.jobs().list()).map(({ id }) => id)).toEqual(["b", "c"]);
  // More than there is for all of them: what comes first stays.
  const [read, dropped] = await write("d", 50_000);
  expect(read + dropped).toBe(50_000);
  expect(dropped).toBeGreaterThanOrEqual(30_000);
  expect(await session.jobs().job("d").info()).toMatchObject({
    problem: expect.stringMatching(/maxTotalSpoolBytes/),
  });
});

test("a job is forgotten when its time is over", async () => {
  using here = place();
  await using served = await jobServer(here.jobs, { jobTtlMs: 200 });
  await using session = await jobSession(served);
  const child = session.spawn("true", { jobId: "x", onDisconnect: "detach" });
  await child.status;
  await eventually(
    () => readdirSync(ownFolder(here.jobs)).length === 0,
    () => "its files are gone",
  );
  await expect(session.attach("x").status).rejects.toMatchObject({
    code: "no_such_job",
  });
});
