import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { textOf } from "./support/bytes.ts";
import { DETACH, jobServer, jobSession, place, until } from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

const GONE = "onDisconnect (--on-disconnect)";

describe("a name", () => {
  test("starts one command, however many ask for it at once", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    const sessions = await Promise.all(
      Array.from({ length: 4 }, () => jobSession(served)),
    );
    const line = `echo $$ >>'${here.at("started")}'; ${
      until(here.at("go"))
    }; echo over`;
    const children = sessions.flatMap((session) =>
      Array.from(
        { length: 10 },
        () => session.spawn(line, { ...DETACH, jobId: "deploy" }),
      )
    );
    const pids = await Promise.all(children.map((child) => child.pid));
    expect(new Set(pids).size).toBe(1);
    writeFileSync(here.at("go"), "");
    const texts = await Promise.all(children.map((c) => textOf(c.stdout)));
    expect(new Set(texts)).toEqual(new Set(["over\n"]));
    // Long after its end, too.
    const again = sessions[0].spawn(line, { ...DETACH, jobId: "deploy" });
    expect(await textOf(again.stdout)).toBe("over\n");
    expect(await again.status).toMatchObject({ code: 0 });
    expect(readFileSync(here.at("started"), "utf8")).toBe(`${pids[0]}\n`);
    await Promise.all(sessions.map((session) => session.close()));
  });

  test("is refused to another request, which is told what differs", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const options = { ...DETACH, jobId: "x", env: { B: "1", A: "2" } };
    await session.spawn("exit 0", options).status;
    await session.spawn("exit 0", { ...options, env: { A: "2", B: "1" } })
      .status;
    for (
      const [line, more, differing] of [
        ["exit 1", {}, "line (-c)"],
        ["exit 0", { env: { A: "2" } }, "env"],
        [
          "exit 0",
          { cwd: "/", timeoutMs: 5 },
          "cwd (--workdir), timeoutMs (--timeout)",
        ],
        ["exit 0", { onDisconnect: "keep" as const }, GONE],
        ["exit 0", { onDisconnect: "kill" as const }, GONE],
      ] as const
    ) {
      const other = session.spawn(line, { ...options, ...more });
      const error = await other.status.catch((error) => error);
      expect(error).toMatchObject({ code: "refused" });
      expect(error.message.split("another request: they differ in ")[1])
        .toBe(differing);
    }
  });

  test("of a command that ends with its client is good for one start", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    const line = `echo x >>'${here.at("started")}'; ${until(here.at("go"))}`;
    const options = { shell: true, jobId: "once" };
    const all = Array.from({ length: 10 }, () => session.spawn(line, options));
    const started = await Promise.allSettled(all.map((child) => child.pid));
    expect(started.filter(({ status }) => status === "fulfilled"))
      .toHaveLength(1);
    expect(await session.jobs().list()).toMatchObject([
      { id: "once", state: "running", onDisconnect: "kill" },
    ]);
    await expect(session.attach("once").status).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(/cannot be attached to/),
    });
    const waiting = session.jobs().job("once").wait();
    writeFileSync(here.at("go"), "");
    expect(await waiting).toMatchObject({
      state: "ended",
      status: { code: 0 },
    });
    await expect(session.spawn(line, options).status).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(
        /started already.* with keep or detach for onDisconnect \(--on-disconnect\)/,
      ),
    });
    expect(readFileSync(here.at("started"), "utf8")).toBe("x\n");
  });

  test("is free again if the command could not start", async () => {
    using here = place();
    await using served = await jobServer(here.jobs);
    await using session = await jobSession(served);
    for (const onDisconnect of ["kill", "detach"] as const) {
      for (let i = 0; i < 3; i++) {
        const none = session.spawn("no-such-program", {
          jobId: onDisconnect,
          onDisconnect,
        });
        await expect(none.status).rejects.toMatchObject({ code: "not_found" });
      }
      const there = session.spawn("true", {
        jobId: onDisconnect,
        onDisconnect,
      });
      expect((await there.status).code).toBe(0);
    }
    expect(await session.jobs().list()).toMatchObject([
      { id: "kill", state: "ended" },
      { id: "detach", state: "ended" },
    ]);
  });
});
