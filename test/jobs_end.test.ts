import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import type { ExecRequest } from "../core/exec/request.ts";
import type { Command } from "../core/ports.ts";
import { JobEntry } from "../core/jobs/entry.ts";
import { Jobs } from "../core/jobs/jobs.ts";
import { resolveServerLimits } from "../core/server_limits.ts";
import { adapter } from "./support/adapter.ts";
import { textOf } from "./support/bytes.ts";
import {
  jobFiles,
  jobServer,
  jobSession,
  requestOf,
  temporaryFolder,
} from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { heldBytes } from "./support/memory.ts";
import { serving, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

const ANN = { identity: { name: "ann" } };

/** What a job needs of a session. */
function hostOf(done: () => void) {
  return {
    authorize: (request: ExecRequest) => Promise.resolve({ request }),
    start: (command: () => Command) => adapter.spawner(command()),
    environment: () => ({ PATH: process.env.PATH ?? "" }),
    consoleText: () => Promise.resolve(undefined),
    report: () => {},
    exited: () => {},
    untold: () => {},
    finished: done,
  };
}

describe("of a job that has ended", () => {
  test("neither its request nor its session is held", async () => {
    using folder = temporaryFolder();
    const jobs = new Jobs({
      folder: { files: jobFiles, path: folder.path },
      limits: resolveServerLimits({}),
      problem: (message) => {
        throw new Error(message);
      },
    });
    const refs: WeakRef<object>[] = [];
    const run = async () => {
      const request = requestOf({ onDisconnect: "detach", jobId: "x" });
      let finished = () => {};
      const over = new Promise<void>((resolve) => finished = resolve);
      const host = hostOf(finished);
      const { entry } = await jobs.keep(ANN, request, 1, host);
      for (const each of [request, host, entry.job, entry.channel]) {
        refs.push(new WeakRef(each!));
      }
      await over;
    };
    await run();
    await eventually(
      () => jobs.registry.find(ANN, "x").channel === null,
      () => "all of it is in its spools",
    );
    const alive = async () => {
      await heldBytes();
      return refs.filter((each) => each.deref() !== undefined).length;
    };
    let left = refs.length;
    for (let i = 0; i < 100 && left > 0; i++) left = await alive();
    expect(left).toBe(0);
    // And it is read as before.
    const { stdout, isOver } = jobs.registry.find(ANN, "x");
    const piece = await stdout!.spool.read(0, 10);
    expect(piece).toEqual({ bytes: new TextEncoder().encode("hi\n") });
    expect([isOver, stdout!.outcome()]).toEqual([true, { heldOpen: false }]);
    await jobs.shutdown("shutting_down");
    await jobs.close();
  });

  test("a word of megabytes is not held for the sake of its beginning", async () => {
    const words = 20;
    const bytes = 2_000_000;
    const before = await heldBytes();
    const entries = Array.from({ length: words }, (_, i) => {
      const word = new TextDecoder().decode(new Uint8Array(bytes).fill(65 + i));
      return JobEntry.of(`${i}`, ANN, requestOf({ argv: [word] }));
    });
    expect((await heldBytes()) - before).toBeLessThan(words * bytes / 2);
    expect(entries[0].argv[0]).toBe(`${"A".repeat(1_000)}…`);
  });
});

/** Whatever has left its group, and holds the output of its job. */
function straggler(path: string): string {
  return `setsid sh -c 'echo $$ >"${path}"; exec sleep 120' & ` +
    `while ! [ -s '${path}' ]; do sleep 0.05; done; echo hi`;
}

function endStraggler(path: string): void {
  if (existsSync(path)) process.kill(Number(readFileSync(path, "utf8")), 9);
}

describe("an output that is held open for hours", () => {
  const options = {
    shell: true,
    onDisconnect: "detach",
    drainMs: 7_200_000,
  } as const;

  test("keeps no server from ending", async () => {
    using folder = temporaryFolder();
    const pidFile = join(folder.path, "pid");
    const path = join(folder.path, "jobs");
    try {
      const first = await jobServer(path);
      const session = await jobSession(first);
      const child = session.spawn(straggler(pidFile), {
        ...options,
        jobId: "held",
      });
      await child.status;
      await session.close();
      await first[Symbol.asyncDispose]();
      // What is written down does not say that it was all.
      await using second = await jobServer(path);
      await using reader = await jobSession(second);
      const attached = reader.attach("held");
      expect(await textOf(attached.stdout)).toBe("hi\n");
      await attached.status;
      expect(attached.heldOpen).toBe(true);
    } finally {
      endStraggler(pidFile);
    }
  });

  test("is not forgotten for the room that another job needs", async () => {
    using folder = temporaryFolder();
    const go = join(folder.path, "go");
    await using served = await jobServer(join(folder.path, "jobs"), {
      maxTotalSpoolBytes: 20_000,
    });
    await using session = await jobSession(served);
    const late = `(while ! [ -e '${go}' ]; do sleep 0.05; done; echo late) &`;
    const held = session.spawn(`${late} echo hi`, {
      ...options,
      jobId: "held",
    });
    await held.status;
    const other = session.spawn("head", {
      args: ["-c", "50000", "/dev/zero"],
      onDisconnect: "detach",
      jobId: "other",
    });
    await textOf(other.stdout);
    const ids = async () => (await session.jobs().list()).map(({ id }) => id);
    expect(await ids()).toEqual(["held", "other"]);
    writeFileSync(go, "");
    expect(await textOf(held.stdout)).toBe("hi\nlate\n");
  });
});

test("what is refused of jobs is told, of the session that asked", async () => {
  await using served = await serving();
  await using first = await jobSession(served);
  await using session = await jobSession(served);
  const keep = { onDisconnect: "keep", jobId: "j" } as const;
  const child = first.spawn("sleep", { args: ["100"], jobId: "mine" });
  await child.pid;
  for (
    const asked of [
      session.attach("none").status,
      session.attach("mine").status,
      session.spawn("true", keep).status,
      session.jobs().job("none").kill(),
      session.jobs().job("mine").remove(),
    ]
  ) {
    await expect(asked).rejects.toHaveProperty("code");
  }
  const told = served.events.filter(({ type }) => type === "command_refused");
  expect(told).toMatchObject([
    { session: 2, code: "no_such_job", message: 'There is no job "none"' },
    { session: 2, code: "refused" },
    { session: 2, code: "unsupported", argv: ["true"] },
    { session: 2, code: "no_such_job" },
    { session: 2, code: "refused", message: /it can be removed/ },
  ].map(({ message, ...rest }) => ({
    ...rest,
    ...(message === undefined
      ? {}
      : { message: expect.stringMatching(message) }),
  })));
  child.kill();
  await child.status;
});

describe("an identity that is revoked", () => {
  test("starts no job that waited for the folder", async () => {
    using folder = temporaryFolder();
    let open = () => {};
    const opened = new Promise<void>((resolve) => open = resolve);
    const files = {
      ...jobFiles,
      makeFolder: async (path: string) => {
        await opened;
        await jobFiles.makeFolder(path);
      },
    };
    const jobs = new Jobs({
      folder: { files, path: folder.path },
      limits: resolveServerLimits({}),
      problem: () => {},
    });
    const request = requestOf({ onDisconnect: "detach" });
    const host = hostOf(() => {});
    const kept = jobs.keep(ANN, request, 1, host);
    const other = jobs.keep({ identity: { name: "bob" } }, request, 1, host);
    await jobs.revoke((identity) => identity === ANN.identity);
    open();
    await expect(kept).rejects.toMatchObject({
      code: "refused",
      message: "Identity was revoked",
    });
    expect(jobs.registry.of(ANN)).toEqual([]);
    await (await other).entry.ended;
    await jobs.shutdown("shutting_down");
    await jobs.close();
  });
});
