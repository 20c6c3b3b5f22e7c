import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, describe, expect, test } from "vitest";
import type { RemoteCommand } from "../core/exec/client.ts";
import type { Machine } from "../core/machine.ts";
import { policyAuthorizer } from "../core/policy/authorizer.ts";
import type { Policy } from "../core/policy/policy.ts";
import { holdTimers } from "./support/held_timers.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive } from "./support/processes.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { serving, warmUp } from "./support/serving.ts";

const { machine }: { machine: Machine } = THIS_RUNTIME === "deno"
  ? await import("../adapters/deno/machine.ts")
  : await import("../adapters/node/machine.ts");

const folder = realpathSync(mkdtempSync(join(tmpdir(), "limpet-policy-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
useLeakCheck(warmUp);

const ALL: Policy = { commands: [["**"]], shell: true };

function under(policy: Policy, environment: Record<string, string> = {}) {
  const { PATH = "/usr/bin:/bin" } = process.env;
  return serving({}, undefined, {
    authorize: policyAuthorizer({
      policyOf: () => policy,
      realPath: machine.files.realPath,
    }),
    environment: () => ({ PATH, ...environment }),
  });
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trimEnd();
const failure = (promise: Promise<unknown>) =>
  promise.then(() => "it ran", (error) => error);

describe("a server with a policy", () => {
  test("runs what it allows, starts nothing else, and says which rule", async () => {
    await using served = await under({ commands: [["echo", "*"]] });
    await using session = await served.connect();
    const { stdout } = await session.output("echo", { args: ["hi"] });
    expect(text(stdout)).toBe("hi");
    const asked = [
      session.output("sh", { args: ["-c", "echo hi"] }),
      session.output("echo hi", { shell: true }),
      session.output("/bin/echo", { args: ["hi"] }),
      session.output("echo", { args: ["hi"], cwd: "/" }),
      session.output("echo", { args: ["hi"], env: { PATH: folder } }),
    ];
    const errors = await Promise.all(asked.map(failure));
    expect(errors.map(({ code }) => code)).toEqual(asked.map(() => "refused"));
    expect(errors[1].message).toBe(
      'Policy of "default" does not allow the shell (shell)',
    );
    expect(served.spawned).toHaveLength(1);
    const refused = served.events.filter(({ type }) =>
      type === "command_refused"
    );
    expect(refused).toHaveLength(asked.length);
    expect(refused[0]).toMatchObject({ code: "refused", shell: false });
  });

  test("looks programs up in its own PATH, where nothing is relative", async () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "tool"), "#!/bin/sh\necho real\n");
    const work = join(folder, "work");
    mkdirSync(work);
    writeFileSync(join(work, "tool"), "#!/bin/sh\necho planted\n");
    for (const each of [bin, work]) chmodSync(join(each, "tool"), 0o755);
    const PATH = `.::${bin}:/usr/bin:/bin`;
    const policy = { commands: [["tool"]], cwd: [folder], env: ["LANG"] };
    await using served = await under(policy, { PATH });
    await using session = await served.connect();
    const { stdout } = await session.output("tool", { cwd: work });
    expect(text(stdout)).toBe("real");
  });

  test("starts commands in its directories, wherever links lead", async () => {
    const root = join(folder, "root");
    const other = join(folder, "other");
    mkdirSync(join(root, "sub"), { recursive: true });
    mkdirSync(other);
    symlinkSync(other, join(root, "out"));
    symlinkSync(root, join(other, "in"));
    await using served = await under({ ...ALL, cwd: [root] });
    await using session = await served.connect();
    const pwd = async (cwd?: string) => {
      const outcome = await failure(
        session.output("pwd", { args: ["-P"], cwd }).then(({ stdout }) => {
          throw text(stdout);
        }),
      );
      return outcome.code ?? outcome;
    };
    expect(await pwd()).toBe(root);
    expect(await pwd(root)).toBe(root);
    expect(await pwd(`${root}/sub/../sub`)).toBe(join(root, "sub"));
    expect(await pwd(join(other, "in"))).toBe(root);
    for (
      const bad of [
        join(root, "out"),
        `${root}/out/..`,
        `${root}/..`,
        `${root}/sub/../../other`,
        other,
        "/",
        ".",
        join(root, "none"),
        join(folder, "bin-none"),
      ]
    ) expect(await pwd(bad), bad).toBe("refused");
  });

  test("runs a forced command in place of whatever is asked for", async () => {
    const forced = ["sh", "-c", 'cat; echo "$LIMPET_ORIGINAL_COMMAND"'];
    await using served = await under({ forced });
    await using session = await served.connect();
    const stdin = new TextEncoder().encode("input ");
    const program = await session.output("rm", { args: ["-rf", "/"], stdin });
    expect(text(program.stdout)).toBe('input ["rm","-rf","/"]');
    const line = await session.output("rm -rf /", { shell: true });
    expect(text(line.stdout)).toBe('"rm -rf /"');
    await session.output("rm -rf /");
    const started = served.events.filter(({ type }) =>
      type === "command_started"
    );
    // A line and a program of that very name are not the same.
    const asked = [[["rm", "-rf", "/"], false], [["rm -rf /"], true], [
      ["rm -rf /"],
      false,
    ]];
    expect(started).toMatchObject(
      asked.map(([requested, requestedShell]) => ({
        argv: forced,
        shell: false,
        requested,
        requestedShell,
      })),
    );
  });

  test("counts commands over all sessions, also those that come at once", async () => {
    await using served = await under({ ...ALL, maxCommands: 2 });
    const sessions = await Promise.all([served.connect(), served.connect()]);
    const children = sessions.flatMap((session) =>
      Array.from({ length: 3 }, () => session.spawn("cat", { stdin: "piped" }))
    );
    const started = await Promise.all(
      children.map(({ pid }) => pid.then(() => true, () => false)),
    );
    expect(started.filter((each) => each)).toHaveLength(2);
    const running = children.filter((_, i) => started[i]);
    await running[0].stdin.close();
    expect(await running[0].status).toMatchObject({ code: 0 });
    const next = sessions[1].spawn("cat", { stdin: "piped" });
    await next.pid;
    expect(await failure(sessions[0].output("true"))).toMatchObject({
      message:
        'Policy of "default" allows 2 commands at once, and as many run already (maxCommands)',
    });
    await Promise.all(sessions.map((session) => session.close()));
    await served.untilDisconnected(2);
    // Those that were refused or lost do not count for ever.
    const last = await served.connect();
    const [one, two] = [1, 2].map(() => last.spawn("true"));
    expect(await one.status).toMatchObject({ code: 0 });
    expect(await two.status).toMatchObject({ code: 0 });
    await last.close();
  });

  test("ends what runs too long, in its own time", async () => {
    await using served = await under({ ...ALL, maxRuntimeMs: 200 });
    await using session = await served.connect();
    const error = await failure(
      session.output("sleep", { args: ["1000"], killAfterMs: 2 ** 31 - 1 }),
    );
    expect(error).toMatchObject({
      code: "limit_exceeded",
      reason: "runtime_limit",
      timedOut: false,
    });
    const sooner = session.output("sleep", { args: ["1000"], timeoutMs: 50 });
    expect(await failure(sooner)).toMatchObject({ reason: "timed_out" });
  });

  test("lets so much output through and no more, and says that it is cut", async () => {
    await using served = await under({ ...ALL, maxOutputBytes: 100_000 });
    await using session = await served.connect();
    const fits = await session.output("head -c 99999 /dev/zero; echo >&2", {
      shell: true,
    });
    expect(fits).toMatchObject({ code: 0, truncated: false });
    expect(fits.stdout).toHaveLength(99_999);
    for (const stderr of [false, true]) {
      const line = `yes${stderr ? " >&2" : ""}`;
      const error = await failure(session.output(line, { shell: true }));
      expect(error).toMatchObject({
        code: "limit_exceeded",
        reason: "output_limit",
        complete: false,
      });
      expect(error[stderr ? "stderr" : "stdout"]).toHaveLength(100_000);
    }
    const child = session.spawn("yes");
    const reader = child.stdout.getReader();
    let bytes = 0;
    const cut = await failure((async () => {
      for (;;) bytes += (await reader.read()).value?.byteLength ?? NaN;
    })());
    expect(bytes).toBe(100_000);
    expect(cut).toMatchObject({ code: "limit_exceeded" });
    expect(cut.message).toContain("Output was cut after 100000 bytes");
    expect(await child.status).toMatchObject({ reason: "output_limit" });
  });

  test("lets a command that wrote too much talk while it cleans up", async () => {
    await using served = await under({ ...ALL, maxOutputBytes: 1_000 });
    await using session = await served.connect();
    const error = await failure(session.output(
      "trap 'seq 1 100000; sleep 0.1; echo bye >&2; exit 3' TERM; " +
        "seq 1 1000; while :; do sleep 0.1; done",
      { shell: true, killAfterMs: 1_000_000 },
    ));
    expect(error).toMatchObject({ reason: "output_limit", exitCode: 3 });
    expect(error.stdout).toHaveLength(1_000);
  });

  test("ends what a command leaves behind together with it", async () => {
    await using served = await under(ALL);
    await using session = await served.connect();
    const { stdout, code } = await session.output("sleep 1000 & echo $!", {
      shell: true,
    });
    expect(code).toBe(0);
    const pid = Number(text(stdout));
    expect(pid).toBeGreaterThan(1);
    await eventually(() => !isAlive(pid), () => `${pid} is alive`);
  });
});

test("a decision that fails is a refusal, and tells nothing", async () => {
  await using served = await serving({}, undefined, {
    authorize: () => Promise.reject(new Error("the data base is at 10.0.0.7")),
  });
  await using session = await served.connect();
  const error = await failure(session.output("true"));
  expect(error).toMatchObject({
    code: "refused",
    message: "Server could not decide whether this may be run",
  });
  expect(served.spawned).toEqual([]);
});

/** Its first words; the rest is thrown away. */
async function saidBy(child: RemoteCommand): Promise<string> {
  const output = child.stdout.getReader();
  const { value } = await output.read();
  const toTheEnd = async () => {
    while (!(await output.read()).done);
  };
  toTheEnd().catch(() => {});
  return text(value!);
}

describe("the longest run is the server's to end, however patient a client is", () => {
  const PATIENT = 2_147_483_647;
  const LONGEST_MS = 700_001;
  const policy: Policy = { ...ALL, maxRuntimeMs: LONGEST_MS };

  test("with a deadline of its own, and a grace that never ends", async () => {
    const timeoutMs = 600_001;
    using timers = holdTimers(timeoutMs, LONGEST_MS);
    await using served = await under(policy);
    await using session = await served.connect();
    const child = session.spawn("trap '' WINCH TERM; echo deaf; sleep 1000", {
      shell: true,
      timeoutMs,
      killAfterMs: PATIENT,
    });
    await saidBy(child);
    timers.fire(timeoutMs);
    child.terminate(PATIENT);
    await eventually(
      () => served.events.some(({ type }) => type === "command_signalled"),
      () => "the server has been told to end it",
    );
    timers.fire(LONGEST_MS);
    expect(await child.status)
      .toMatchObject({ signal: "SIGKILL", reason: "timed_out" });
    expect(isAlive(await child.pid)).toBe(false);
  });

  test("by what its leader leaves behind", async () => {
    await using served = await under(policy);
    await using session = await served.connect();
    const child = session.spawn(
      "trap '' TERM; sleep 1000 & trap - TERM; echo $!; sleep 1000",
      { shell: true, killAfterMs: PATIENT },
    );
    const pid = Number(await saidBy(child));
    child.terminate(PATIENT);
    expect(await child.status)
      .toMatchObject({ signal: "SIGTERM", reason: "cancelled" });
    expect(isAlive(pid)).toBe(false);
  });
});
