import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digest, seq } from "./support/bytes.ts";
import { type RunOptions, start, temporaryFolder } from "./support/cli.ts";
import { untilGone } from "./support/processes.ts";
import { ROOT, THIS_RUNTIME } from "./support/runtimes.ts";
import { useServer } from "./support/servers.ts";

const folder = temporaryFolder();
const CLIENT = join(ROOT, "test", "interop", "limpet_client.py");
const wrong = join(folder, "wrong");
writeFileSync(wrong, "not-the-token-of-any-server\n", { mode: 0o600 });

// Each server is met by the suite of its own runtime.
describe(`a client in Python, a server on ${THIS_RUNTIME}`, () => {
  const server = useServer(THIS_RUNTIME);

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
    expect(await digest([bytes])).toEqual(await digest(seq(300_000)));
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
  }, 60_000);

  test("the vectors are what their generator gives", async () => {
    const file = join(ROOT, "test", "vectors", "generate.py");
    const { code, stderr } = await start(["python3", file, "--check"]).outcome;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
}
