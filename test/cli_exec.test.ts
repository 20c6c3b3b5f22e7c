import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  expectOwnWords,
  limpet,
  type RunOptions,
  temporaryFolder,
} from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { serverFor, useServer } from "./support/servers.ts";

const folder = temporaryFolder();
const plain = join(folder, "plain");
writeFileSync(plain, "echo never\n");
const script = join(folder, "script with spaces");
writeFileSync(script, '#!/bin/sh\nfor a in "$@"; do echo "[$a]"; done\n');
chmodSync(script, 0o755);
mkdirSync(join(folder, "a b"));

describe(`exec on ${THIS_RUNTIME}, serve on ${serverFor(1)}`, () => {
  const server = useServer(serverFor(1));
  const exec = (args: readonly string[], env: RunOptions["env"] = {}) =>
    limpetHere(["exec", ...args], {
      env: { LIMPET_TOKEN_FILE: server().tokenFile, ...env },
    });
  /** A line of shell. */
  const line = (text: string, ...flags: string[]) =>
    exec([...flags, server().address, "-c", text]);

  test("exit codes are the command's own, and nothing is said of them", async () => {
    for (const code of [0, 1, 3, 124, 255]) {
      // As a program, which all else here does not need to be.
      const text = `echo out; echo err >&2; exit ${code}`;
      const outcome = await limpet(["exec", server().address, "-c", text], {
        env: { LIMPET_TOKEN_FILE: server().tokenFile },
      });
      expect(outcome).toMatchObject({
        code,
        stdout: "out\n",
        stderr: "err\n",
      });
    }
  });

  test("a signal is 128 + n", async () => {
    for (const [name, status] of [["KILL", 137], ["TERM", 143]] as const) {
      expect(await line(`kill -s ${name} $$`)).toMatchObject({
        code: status,
        stdout: "",
      });
    }
  });

  test("127, 126 and 125 for what does not start", async () => {
    const { address } = server();
    const cases = [
      [["--", "no-such-command"], 127, '"no-such-command": no such command'],
      [["--", plain], 126, "permission denied"],
      [["--", folder], 126, "is a directory"],
      [["-w", `${folder}/none`, "--", "pwd"], 125, "does not exist"],
    ] as const;
    for (const [args, code, words] of cases) {
      const [first, ...rest] = args;
      const flags = first === "-w" ? [first, rest.shift() as string] : [];
      const tail = first === "-w" ? rest : args;
      const { stderr, ...outcome } = await exec([...flags, address, ...tail]);
      expect(outcome).toMatchObject({ code, stdout: "" });
      expect(stderr).toContain(words);
      expectOwnWords(stderr);
    }
  });

  test("--timeout is 124, and --kill-after ends what ignores SIGTERM", async () => {
    // Each of them has done what it does first within that time.
    const timeout = "--timeout=2s";
    const flags = [timeout, "--kill-after=200ms"];
    const [polite, stubborn, coded] = await Promise.all([
      line("echo began; sleep 60", timeout),
      line(
        "trap '' TERM; (trap '' TERM; sleep 60) & sleep 60; sleep 60",
        ...flags,
      ),
      // Its own code, on the way out, does not count: it was ended.
      line("trap 'exit 7' TERM; sleep 60 & wait", ...flags),
    ]);
    expect(polite).toMatchObject({ code: 124, stdout: "began\n" });
    expect(polite.stderr).toBe(
      "limpet: the command was ended because its --timeout passed\n",
    );
    expect(stubborn.code).toBe(124);
    expect(coded.code).toBe(124);
  });

  test("arguments arrive as they are, by -- and by -c", async () => {
    const { address } = server();
    const words = ["a b", "", "*", "$HOME", "'\"\\", "-x", "--", "ü\n€"];
    const argv = await exec([address, "--", script, ...words]);
    expect(argv.stdout).toBe(words.map((word) => `[${word}]\n`).join(""));
    const shell = await exec([address, "-c", `echo "$((6 * 7))" | cat`]);
    expect(shell.stdout).toBe("42\n");
  });

  test("-w and -e", async () => {
    const { address } = server();
    const outcome = await exec(
      [
        "-w",
        join(folder, "a b"),
        "-e",
        "A=1=2",
        "--env=B=ü",
        "-e",
        "COPIED",
        "-e",
        "MISSING",
        "-eEMPTY=",
        address,
        "-c",
        'pwd; echo "$A|$B|$COPIED|${MISSING-unset}|${EMPTY-unset}|"',
      ],
      { COPIED: "from here", MISSING: null },
    );
    expect(outcome.stdout).toBe(
      `${folder}/a b\n1=2|ü|from here|unset||\n`,
    );
  });

  test("--merge keeps the order of stdout and stderr", async () => {
    const text = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done";
    const merged = await line(text, "--merge");
    expect(merged).toMatchObject({
      stdout: "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n",
      stderr: "",
    });
    const apart = await line(text);
    expect(apart.stdout).toBe("o1\no2\no3\no4\no5\n");
    expect(apart.stderr).toBe("e1\ne2\ne3\ne4\ne5\n");
  });

  test("what still holds the output open is waited for and told", async () => {
    const outcome = await line("sleep 100 & echo hi", "--drain=100ms");
    expect(outcome).toMatchObject({
      code: 0,
      stdout: "hi\n",
      stderr:
        "limpet: something the command left running still holds its output open\n",
    });
    expect((await line("sleep 100 & echo hi", "--drain=100ms", "-q")).stderr)
      .toBe("");
  });

  describe("--output json", () => {
    async function json(args: readonly string[]) {
      const outcome = await exec(["--output", "json", ...args]);
      expect(outcome.stderr).toBe("");
      expect(outcome.stdout).toMatch(/^\{.*\}\n$/);
      const object = JSON.parse(outcome.stdout);
      expect(object.exitStatus).toBe(outcome.code);
      return object;
    }

    test("exited", async () => {
      expect(
        await json([server().address, "-c", "echo ü; echo e >&2; exit 3"]),
      ).toEqual({
        command: { line: "echo ü; echo e >&2; exit 3" },
        exitStatus: 3,
        pid: expect.any(Number),
        source: "command",
        outcome: "exited",
        code: 3,
        signal: null,
        reason: null,
        complete: true,
        truncated: false,
        heldOpen: false,
        stdout: "ü\n",
        stdoutEncoding: "utf-8",
        stderr: "e\n",
        stderrEncoding: "utf-8",
        jobId: expect.stringMatching(/^[0-9a-z]{12}$/),
        error: null,
      });
    });

    test("signaled, and bytes that are no text", async () => {
      const text = "printf '\\377\\000'; kill -KILL $$";
      expect(await json([server().address, "--", "sh", "-c", text]))
        .toMatchObject({
          command: { argv: ["sh", "-c", text] },
          exitStatus: 137,
          source: "command",
          outcome: "signaled",
          code: null,
          signal: "SIGKILL",
          stdout: "/wA=",
          stdoutEncoding: "base64",
        });
    });

    test("timed out", async () => {
      const flags = ["--timeout", "2s", server().address];
      expect(await json([...flags, "-c", "echo some; sleep 60"]))
        .toMatchObject({
          exitStatus: 124,
          source: "limpet",
          outcome: "ended",
          signal: "SIGTERM",
          reason: "timed_out",
          stdout: "some\n",
          error: { code: "timed_out" },
        });
    });

    test("refused", async () => {
      expect(await json([server().address, "--", "no-such-command"]))
        .toMatchObject({
          exitStatus: 127,
          pid: null,
          source: "limpet",
          outcome: "refused",
          code: null,
          complete: false,
          error: {
            code: "not_found",
            message: 'Cannot start "no-such-command": no such command in PATH',
          },
        });
    });
  });

  test("-v tells what happens, never the token", async () => {
    const { address, token, log } = server();
    const outcome = await exec(["-v", address, "--", "true"]);
    expect(outcome.stderr).toContain(`connected to ${address}`);
    expectOwnWords(outcome.stderr);
    expect(outcome.stderr + log()).not.toContain(token);
  });

  test("a command sees no secret of the server", async () => {
    const { token, pid } = server();
    const env = await line(`env; tr '\\0' ' ' </proc/${pid}/cmdline`);
    expect(env.stdout).toContain("PATH=");
    expect(env.stdout).toContain("serve tcp://127.0.0.1:0 --token-file");
    // servers.ts put this one there itself, under a name that is not ours.
    const own = env.stdout.replace(`LIMPET_TEST_SECRET=${token}\n`, "");
    expect(own).not.toContain(token);
  });
});
