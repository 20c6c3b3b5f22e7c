import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { connect, type Session } from "../core/client.ts";
import type { RemoteCommand } from "../core/exec/client.ts";
import type { SpawnOptions } from "../core/options.ts";
import { resumable } from "../core/resume.ts";
import type { ServerEvent } from "../core/server.ts";
import { temporaryFolder } from "./support/cli.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive } from "./support/processes.ts";
import { proxyTo } from "./support/proxy.ts";
import { type Serving, serving, TOKEN, warmUp } from "./support/serving.ts";

const folder = temporaryFolder();
const noLeaks = useLeakCheck(warmUp);

/** Told to end, it talks; only what survives that writes the file. */
const HANDLER = "trap 'echo cleaning up; sleep 0.1; echo still >&2; " +
  "echo clean >done; exit 3' TERM; ";
const TALKING = `${HANDLER}echo ready; while :; do sleep 0.1; done`;

/** No SIGKILL comes to the rescue before the test's own time is over. */
const PATIENT = { shell: true, killAfterMs: 1_000_000 };
const LIMITS = { shutdownGraceMs: 1_000_000 };

async function start(session: Session, line: string, options?: SpawnOptions) {
  const cwd = mkdtempSync(join(folder, "cwd-"));
  const child = session.spawn(line, { ...PATIENT, cwd, ...options });
  await untilSaid(child, "ready\n");
  const wrote = (name: string) => {
    const path = join(cwd, name);
    return existsSync(path) ? readFileSync(path, "utf8") : null;
  };
  return { child, wrote };
}

async function untilSaid(child: RemoteCommand, text: string): Promise<void> {
  const reader = child.stdout.getReader();
  for (let said = ""; !said.includes(text);) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`It said only ${said}`);
    said += new TextDecoder().decode(value);
  }
  reader.releaseLock();
}

async function ended({ events }: Serving): Promise<ServerEvent> {
  const end = () => events.find(({ type }) => type === "command_ended");
  await eventually(() => end() !== undefined, () => JSON.stringify(events));
  return end()!;
}

const byItself = {
  status: { success: false, code: 3, signal: null, reason: "disconnected" },
};

describe("a command that talks while it cleans up is let finish", () => {
  test("when its client closes the session", async () => {
    await using served = await serving(LIMITS);
    const session = await served.connect();
    const { wrote } = await start(session, TALKING);
    await session.close();
    expect(await ended(served)).toMatchObject(byItself);
    expect(wrote("done")).toBe("clean\n");
  });

  test("when its client is gone and does not come back", async () => {
    await using served = await serving({ ...LIMITS, graceMs: 100 });
    await using proxy = await proxyTo(served.target.port);
    const session = await connect(proxy.dial, {
      token: TOKEN,
      resume: resumable(),
    });
    const { wrote } = await start(session, TALKING);
    proxy.refusing = true;
    proxy.cut("reset");
    expect(await ended(served)).toMatchObject(byItself);
    expect(wrote("done")).toBe("clean\n");
    await session.close();
  });

  test("when its identity may not come any more", async () => {
    await using served = await serving(LIMITS);
    await using session = await served.connect();
    const { wrote } = await start(session, TALKING);
    await served.server.endSessions(() => true);
    expect(await ended(served)).toMatchObject({
      status: { ...byItself.status, reason: "revoked" },
    });
    expect(wrote("done")).toBe("clean\n");
  });

  test("though nobody took what it wrote before", async () => {
    await using served = await serving(LIMITS);
    const session = await served.connect({ limits: { windowBytes: 1_024 } });
    const { wrote } = await start(
      session,
      `${HANDLER}echo ready; seq 1 1000000; seq 1 1000000 >&2`,
    );
    await session.close();
    expect(await ended(served)).toMatchObject(byItself);
    expect(wrote("done")).toBe("clean\n");
  });

  test("when it has ended, and what it left cleans up", async () => {
    await using served = await serving(LIMITS);
    const session = await served.connect();
    const { child, wrote } = await start(session, `(${TALKING}) &`, {
      drainMs: 1_000_000,
    });
    expect(await child.status).toMatchObject({ code: 0 });
    await session.close();
    await served.untilDisconnected(1);
    expect(wrote("done")).toBe("clean\n");
  });
});

test("what is not of its group holds nothing of us for long", async () => {
  let pid: number;
  {
    await using served = await serving(LIMITS);
    const session = await served.connect();
    const { wrote } = await start(
      session,
      "setsid sh -c 'echo $$ >pid; echo ready; exec sleep 1000' & wait",
    );
    await session.close();
    await ended(served);
    pid = Number(wrote("pid"));
  }
  // The pipe counts as a leak.
  await noLeaks();
  expect(isAlive(pid)).toBe(true);
  process.kill(pid, "SIGKILL");
});

test("a command that reads sees no end of its input when its session ends", async () => {
  await using served = await serving(LIMITS);
  const session = await served.connect();
  const script = `$| = 1; $SIG{TERM} = sub { print "bye\\n";
    my $in = ""; vec($in, 0, 1) = 1; my $ended = select($in, undef, undef, 1);
    open my $out, ">", "done"; print $out "$ended\\n"; close $out; exit 3 };
    print "ready\\n"; my $line = <STDIN>; open my $out, ">", "eof"; exit 4`;
  const { wrote } = await start(session, `exec perl -e '${script}'`, {
    stdin: "piped",
  });
  await session.close();
  expect(await ended(served)).toMatchObject(byItself);
  // An end of its input, or a byte, would have been there to be read.
  expect([wrote("done"), wrote("eof")]).toEqual(["0\n", null]);
});

test("a reader that has had enough still gives SIGPIPE", async () => {
  await using served = await serving(LIMITS);
  const session = await served.connect();
  const { child } = await start(session, "echo ready; while :; do echo; done");
  await child.stdout.cancel();
  expect(await child.status).toMatchObject({ signal: "SIGPIPE", reason: null });
  await session.close();
});
