import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digest, seqDigest } from "./support/bytes.ts";
import {
  expectOwnWords,
  limpet,
  quoted,
  startLimpet,
  temporaryFolder,
} from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { cli, THIS_RUNTIME } from "./support/runtimes.ts";
import { serverFor } from "./support/servers.ts";

const folder = temporaryFolder();
const tokenFile = join(folder, "token");
writeFileSync(tokenFile, "0123456789abcdef0123456789abcdef\n", { mode: 0o600 });
const env = { LIMPET_TOKEN_FILE: tokenFile };

describe(`exec on ${THIS_RUNTIME}, cmd: on ${serverFor(1)}`, () => {
  const runtime = serverFor(1);
  const serve = [...cli(runtime).map(quoted), "serve", "--stdio"].join(" ");

  test("commands run over the stdio of a program", async () => {
    const ids = "echo $PPID >&2; echo $$ >&2; seq 1 200000; exit 3";
    const outcome = await limpet(["exec", `cmd:${serve}`, "-c", ids], { env });
    expect(outcome.code).toBe(3);
    expect(await digest([outcome.bytes])).toEqual(await seqDigest(200_000));
    const pids = outcome.stderr.trim().split("\n").map(Number);
    expect(pids).toHaveLength(2);
    await untilGone(pids);
    const fed = await limpet(["exec", "-i", `cmd:${serve}`, "--", "cat"], {
      env,
      input: "back and forth",
    });
    expect(fed).toMatchObject({
      code: 0,
      stdout: "back and forth",
      stderr: "",
    });
  });

  test("what a login prints first is shown on stderr", async () => {
    const noisy = `sh -c ${
      quoted(`printf 'Welcome!\\r\\n\\033[1mhello\\n'; exec ${serve}`)
    }`;
    const outcome = await limpet(["exec", `cmd:${noisy}`, "-c", "echo hi"], {
      env,
    });
    expect(outcome).toMatchObject({ code: 0, stdout: "hi\n" });
    expect(outcome.stderr).toContain(" says: Welcome!\n");
    expect(outcome.stderr).toContain(" says: \\x1b[1mhello\n");
    expectOwnWords(outcome.stderr);
    const quiet = await limpet(
      ["exec", "-q", `cmd:${noisy}`, "-c", "echo hi"],
      { env },
    );
    expect(quiet).toMatchObject({ code: 0, stdout: "hi\n", stderr: "" });
  });

  test("a client killed with -9 takes the server and the tree along", async () => {
    const line = "trap '' TERM; echo $PPID; echo $$; echo ready; sleep 1000; :";
    const running = startLimpet(
      ["exec", "--kill-after=200ms", `cmd:${serve}`, "-c", line],
      { env },
    );
    await running.says("ready");
    const pids = running.stdout().trim().split("\n").slice(0, 2).map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    running.kill("SIGKILL");
    await untilGone(pids);
  });

  test("serve --stdio to somebody who never speaks", async () => {
    const running = startLimpet([
      "serve",
      "--stdio",
      "--handshake-timeout=300ms",
    ], {
      env,
      input: "pipe",
      runtime,
    });
    const { code, stderr } = await running.outcome;
    expect(code).toBe(0);
    expect(stderr).toContain("stdio did not get in (timed_out)");
    const ended = await limpet(["serve", "--stdio"], { env, runtime });
    expect(ended.code).toBe(0);
  });
});

describe(`exec on ${THIS_RUNTIME}`, () => {
  test.each([
    ["no-such-program --flag", "no-such-program", "exit code 127 before"],
    ["sh -c 'echo oops >&2; exit 41'", "exit code 41 before", "oops"],
    ["true", "cmd:true", "exit code 0 before"],
    ["kill -9 $$", "SIGKILL before"],
  ])("cmd:%s says what went wrong", async (line, ...words) => {
    const target = `cmd:${line}`;
    const outcome = await limpetHere(["exec", target, "--", "true"], { env });
    expect(outcome).toMatchObject({ code: 255, stdout: "" });
    for (const word of words) expect(outcome.stderr).toContain(word);
    expect(outcome.stderr).toContain("limpet: ");
  });

  test("a program that speaks something else", async () => {
    const endless = await limpet(["exec", "cmd:yes", "--", "true"], { env });
    expect(endless).toMatchObject({ code: 255, stdout: "" });
    expect(endless.stderr.length).toBeLessThan(2_000_000);
  });
});

describe(`exec on ${THIS_RUNTIME}, unix: on ${serverFor(1)}`, () => {
  const runtime = serverFor(1);
  test("a socket in the file system", async () => {
    const path = join(folder, `${runtime}.sock`);
    const serving = startLimpet(["serve", `unix:${path}`], { env, runtime });
    await serving.complains(`listening on unix:${path}`);
    const words = ["exec", `unix:${path}`, "--", "echo", "hi"];
    const outcome = await limpetHere(words, { env });
    expect(outcome).toMatchObject({ code: 0, stdout: "hi\n", stderr: "" });
    const second = await limpet(["serve", `unix:${path}`], { env, runtime });
    expect(second).toMatchObject({ code: 255, stdout: "" });
    expect(second.stderr).toContain(`unix:${path}`);
    expectOwnWords(second.stderr);
    serving.kill("SIGTERM");
    expect(await serving.outcome).toMatchObject({ code: 0 });
    const gone = await limpetHere(words, { env });
    expect(gone.code).toBe(255);
  });
});
