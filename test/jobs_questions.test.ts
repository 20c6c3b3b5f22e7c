import { describe, expect, test } from "vitest";
import { Identities } from "../core/auth/identities.ts";
import { jobs } from "../core/jobs/client.ts";
import type { Session } from "../core/client.ts";
import { textOf } from "./support/bytes.ts";
import { DETACH, jobServer, jobSession, place } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { serving, TOKEN, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

describe("questions", () => {
  test("a wait can be given up, and what does not run is told apart", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const child = session.spawn("exec sleep 100", { ...DETACH, jobId: "s" });
    await child.pid;
    const patience = new AbortController();
    const waiting = session.jobs().job("s").wait(patience.signal);
    patience.abort();
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    await session.jobs().job("s").kill("SIGKILL");
    expect(await child.status).toMatchObject({ signal: "SIGKILL" });
    await expect(session.jobs().job("t").wait()).rejects.toMatchObject({
      code: "no_such_job",
      message: 'There is no job "t"',
    });
  });

  test("a client without jobs says what it needs", async () => {
    await using served = await serving();
    await using session = await served.connect();
    expect(() => session.jobs()).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
    expect(() => session.spawn("true", { onDisconnect: "detach" })).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
    expect((await session.output("true")).jobId).toMatch(/^[0-9a-z]{12}$/);
  });

  test("a server without a folder says so, and lists what runs", async () => {
    await using served = await serving();
    await using session = await jobSession(served);
    await expect(session.spawn("true", { onDisconnect: "keep" }).status)
      .rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringMatching(/keeps no jobs/),
      });
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    expect(await session.jobs().list()).toMatchObject([
      { id: child.jobId, state: "running", argv: ["sleep", "100"] },
    ]);
    await session.jobs().job(child.jobId!).terminate();
    expect(await child.status).toMatchObject({ reason: "cancelled" });
  });

  test("there may be more jobs than one answer has room for", async () => {
    const exit = { code: 0, signal: null };
    await using served = await serving({}, fakeSpawner({ exit }));
    await using session = await jobSession(served);
    const ids = Array.from({ length: 205 }, (_, i) => `n${i}`);
    for (const jobId of ids) await session.output("true", { jobId });
    const listed = await session.jobs().list();
    expect(listed.map(({ id }) => id).sort()).toEqual(ids.sort());
  });
});

describe("identities", () => {
  test("see their own jobs only, and lose them with their access", async () => {
    using here = place();
    const names = ["ann", "bob"];
    const known = names.map((name) => ({ name, token: `${name}-${TOKEN}` }));
    const authenticator = await Identities.from(known);
    await using served = await jobServer(here.jobs, {}, {
      token: undefined,
      authenticator,
    });
    const open = (name: string): Promise<Session> =>
      served.connect({ jobs, token: `${name}-${TOKEN}` });
    await using ann = await open("ann");
    await using bob = await open("bob");
    const options = { ...DETACH, jobId: "same" };
    const hers = ann.spawn("exec sleep 100", options);
    const his = bob.spawn("exec sleep 100", options);
    expect(await hers.pid).not.toBe(await his.pid);
    const secret = ann.spawn("exec sleep 100", { ...DETACH, jobId: "secret" });
    await secret.pid;
    expect((await bob.jobs().list()).map(({ id }) => id)).toEqual(["same"]);
    const tries = (id: string) => [
      bob.attach(id).status,
      bob.jobs().job(id).info(),
      bob.jobs().job(id).wait(),
      bob.jobs().job(id).kill(),
      bob.jobs().job(id).remove(),
    ];
    const answersTo = async (id: string) =>
      (await Promise.allSettled(tries(id))).map((outcome) =>
        outcome.status === "rejected"
          ? `${outcome.reason.code}: ${outcome.reason.message}`
          : "told"
      );
    const foreign = await answersTo("secret");
    expect(foreign).toEqual(
      (await answersTo("absent")).map((text) =>
        text.replace("absent", "secret")
      ),
    );
    expect(new Set(foreign).size).toBe(1);
    await served.server.endSessions(({ name }) => name === "ann");
    await eventually(
      () => served.server.commandCount === 1,
      () => `hers have ended: ${served.server.commandCount}`,
    );
    // Told when its output has its end as well, on the disk.
    const end = () =>
      served.events.find((event) =>
        event.type === "command_ended" && event.jobId === "secret"
      );
    await eventually(() => end() !== undefined, () => "its end is told");
    expect(end()).toMatchObject({ status: { reason: "revoked" } });
    await bob.jobs().job("same").kill();
    expect((await his.status).signal).toBe("SIGTERM");
  });
});

test("what becomes of jobs is told, to whom it belongs, and how it ended", async () => {
  using here = place();
  await using served = await jobServer(here.jobs);
  const first = await jobSession(served);
  const child = first.spawn("exec cat", {
    ...DETACH,
    stdin: "piped",
    jobId: "cat",
  });
  await child.pid;
  await first.close();
  await served.untilDisconnected(1);
  await using second = await jobSession(served);
  const attached = second.attach("cat", { stdin: "piped" });
  await attached.pid;
  attached.kill("SIGWINCH");
  await second.jobs().job("cat").kill("SIGWINCH");
  const writer = attached.stdin.getWriter();
  await writer.write(new Uint8Array(3));
  await writer.close();
  await attached.status;
  await textOf(attached.stdout);
  await eventually(
    () => served.events.some(({ type }) => type === "command_ended"),
    () => "it has ended",
  );
  await second.jobs().job("cat").remove();
  const told = served.events.filter((event) => "jobId" in event);
  expect(told).toMatchObject([
    { type: "command_started", session: 1, jobId: "cat", identity: "default" },
    { type: "job_attached", session: 2, jobId: "cat", command: 1 },
    // Whoever sent them, not who started it.
    { type: "command_signalled", session: 2, jobId: "cat", command: 1 },
    { type: "command_signalled", session: 2, jobId: "cat", command: 3 },
    {
      type: "command_ended",
      session: 1,
      jobId: "cat",
      bytes: { stdin: 3, stdout: 3, stderr: 0 },
    },
    { type: "job_removed", session: 2, jobId: "cat" },
  ]);
});
