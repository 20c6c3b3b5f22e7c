import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { jobs } from "../core/jobs/client.ts";
import { digest, seqDigest } from "./support/bytes.ts";
import { type RunOptions, start, temporaryFolder } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { proxyTo } from "./support/proxy.ts";
import { untilGone } from "./support/processes.ts";
import { ROOT, THIS_RUNTIME } from "./support/runtimes.ts";
import { useServer } from "./support/servers.ts";

const folder = temporaryFolder();
const CLIENT = join(ROOT, "test", "interop", "limpet_client.py");
const wrong = join(folder, "wrong");
writeFileSync(wrong, "not-the-token-of-any-server\n", { mode: 0o600 });

// Each server is met by the suite of its own runtime.
describe(`a client in Python, a server on ${THIS_RUNTIME}`, () => {
  const jobsFolder = join(folder, "jobs");
  mkdirSync(jobsFolder);
  const server = useServer(THIS_RUNTIME, ["--jobs-dir", jobsFolder]);

  function client(
    flags: readonly string[],
    command: readonly string[],
    options: RunOptions = {},
  ) {
    const { address, tokenFile } = server();
    const target = address.replace("tcp://", "");
    return start([
      "python3",
      CLIENT,
      "--token-file",
      tokenFile,
      ...flags,
      target,
      ...command,
    ], options);
  }
  const line = (text: string, ...flags: string[]) =>
    client(flags, ["-c", text]).outcome;

  test("codes, streams and arguments", async () => {
    expect(await line("echo out; echo err >&2; exit 7")).toMatchObject({
      code: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(await line("kill -KILL $$")).toMatchObject({ code: 137 });
    const argv = await client([], [
      "--",
      "printf",
      "[%s]",
      "a b",
      "",
      "*",
    ]).outcome;
    expect(argv).toMatchObject({ code: 0, stdout: "[a b][][*]" });
    const missing = await client([], ["--", "no-such-command"]).outcome;
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain("no such command");
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const merged = await client(
      ["--merge"],
      ["-c", "echo o; echo e >&2; echo $TRACEPARENT"],
      { env: { TRACEPARENT: trace } },
    ).outcome;
    expect(merged).toMatchObject({ stdout: `o\ne\n${trace}\n`, stderr: "" });
    const late = await line("sleep 60", "--timeout", "0.3");
    expect(late.code).toBe(124);
  });

  test("output to the last byte", async () => {
    const { bytes, code } = await line("seq 1 300000");
    expect(code).toBe(0);
    expect(await digest([bytes])).toEqual(await seqDigest(300_000));
  });

  test("stdin, and a signal", async () => {
    const fed = await client(["-i"], ["-c", "cat; echo end"], {
      input: Uint8Array.from({ length: 256 }, (_, i) => i),
    }).outcome;
    expect(fed.code).toBe(0);
    expect(fed.bytes.subarray(0, 256)).toEqual(
      Uint8Array.from({ length: 256 }, (_, i) => i),
    );
    const empty = await line("cat; echo end");
    expect(empty.stdout).toBe("end\n");
    const running = client([], ["-c", "echo $$; exec sleep 1000"]);
    await running.says("\n");
    const pid = Number(running.stdout());
    running.kill("SIGKILL");
    await untilGone([pid]);
  });

  test("a connection that is lost is got back, both ways at full stretch", async () => {
    await using proxy = await proxyTo(Number(new URL(server().address).port));
    const bytes = 3_000_000;
    const input = Uint8Array.from({ length: bytes }, (_, i) => i * i >> 8);
    // Without it a fast machine is done before there is anything to lose.
    const wasCut = join(folder, "cut");
    const running = start([
      "python3",
      CLIENT,
      "--token-file",
      server().tokenFile,
      "-i",
      "--resume",
      `127.0.0.1:${proxy.port}`,
      "-c",
      `cat; until test -e ${wasCut}; do sleep 0.02; done; echo end >&2`,
    ], { input });
    await eventually(
      () => proxy.bytes > bytes,
      () => `${proxy.bytes} bytes went through`,
    );
    proxy.cut("reset");
    writeFileSync(wasCut, "");
    const { code, bytes: out, stderr } = await running.outcome;
    expect(code).toBe(0);
    expect(await digest([out])).toEqual(await digest([input]));
    expect(stderr).toBe("end\n");
    expect(proxy.count).toBe(2);
  });

  test("attaches to a job", async () => {
    const go = join(folder, "go");
    await using session = await server().connect({ jobs });
    const line = `echo one; until test -e ${go}; do sleep 0.02; done; ` +
      "echo two >&2; exit 9";
    const job = session.spawn(line, { shell: true, onDisconnect: "detach" });
    await job.pid;
    const running = client(["--attach", job.jobId ?? ""], []);
    await running.says("one\n");
    writeFileSync(go, "");
    expect(await running.outcome).toMatchObject({
      code: 9,
      stdout: "one\n",
      stderr: "two\n",
    });
    const missing = await client(["--attach", "missing"], []).outcome;
    expect(missing).toMatchObject({ code: 125, stdout: "" });
    expect(missing.stderr).toContain('There is no job "missing"');
  });

  test("the wrong token", async () => {
    const { code, stdout } = await client(
      ["--token-file", wrong],
      ["--", "echo", "ran"],
    ).outcome;
    expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
  });
});

// Python alone, whichever runtime started it: once is enough.
if (THIS_RUNTIME === "node") {
  test("the Python client against the vectors", async () => {
    const file = join(ROOT, "test", "interop", "test_limpet_client.py");
    const { code, stderr } = await start(["python3", file], {}).outcome;
    expect(stderr).toMatch(/\nRan \d+ tests in .*\n\nOK\n$/);
    expect(code).toBe(0);
  });

  test("the vectors are what their generator gives", async () => {
    const file = join(ROOT, "test", "vectors", "generate.py");
    const { code, stderr } = await start(["python3", file, "--check"]).outcome;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
}
