import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { seqBytes } from "./support/bytes.ts";
import {
  limpet,
  type Outcome,
  start,
  startLimpet,
  temporaryFolder,
} from "./support/cli.ts";
import { inProcess, limpetHere } from "./support/cli_in_process.ts";
import { isAlive, SLEEPER, untilGone } from "./support/processes.ts";
import { program, ROOT, THIS_RUNTIME } from "./support/runtimes.ts";
import { serverFor, useServer } from "./support/servers.ts";

const folder = temporaryFolder();

describe(`shell on ${THIS_RUNTIME}, serve on ${serverFor(1)}`, () => {
  const runtime = serverFor(1);
  const server = useServer(runtime);
  const shell = (input: string, ...flags: string[]): Promise<Outcome> =>
    limpet(["shell", ...flags, server().address], {
      input,
      env: { LIMPET_TOKEN_FILE: server().tokenFile },
    });
  // What does not depend on whose process it is.
  const here = (input: string, ...flags: string[]): Promise<Outcome> =>
    limpetHere(["shell", ...flags, server().address], {
      input,
      env: { LIMPET_TOKEN_FILE: server().tokenFile },
    });

  test("runs each line in turn, to its last byte", async () => {
    const { code, bytes, stderr } = await shell("seq 1 100000\necho done\n");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const whole = new Uint8Array([
      ...seqBytes(100_000),
      ...new TextEncoder().encode("done\n"),
    ]);
    expect(bytes.byteLength).toBe(whole.byteLength);
    expect(bytes.every((byte, i) => byte === whole[i])).toBe(true);
  });

  test("no output is taken for the answer to another line", async () => {
    const counts = Array.from({ length: 20 }, (_, i) => (i * 997) % 5_000 + 1);
    const lines = counts.map((count, i) =>
      `echo BEGIN ${i}; seq 1 ${count}; echo E${i} >&2; echo END ${i}`
    );
    const { stdout, stderr } = await shell(lines.join("\n"));
    const expected = counts.map((count, i) =>
      `BEGIN ${i}\n${new TextDecoder().decode(seqBytes(count))}END ${i}\n`
    );
    expect(stdout).toBe(expected.join(""));
    expect(stderr).toBe(counts.map((_, i) => `E${i}\n`).join(""));
  });

  test("cd lasts, through every kind of name", async () => {
    const names = ["a b", "it's", 'qu"ote', "ünï—☃", "-dash", "$HOME", "x;y"];
    const home = join(folder, runtime);
    for (const name of names) mkdirSync(join(home, name), { recursive: true });
    const lines = names.flatMap((name) => [
      `cd '${home}'; cd -- '${name.replaceAll("'", "'\\''")}'`,
      "pwd",
    ]);
    const { stdout, stderr, code } = await here(lines.join("\n"));
    expect(stdout).toBe(names.map((name) => `${home}/${name}\n`).join(""));
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  });

  test("a directory that is gone is told, and left", async () => {
    const gone = join(folder, `gone-${runtime}`);
    mkdirSync(gone);
    const { stdout, stderr, code } = await here(
      `cd ${gone}\nrmdir ${gone}\necho never\npwd\n`,
      "-w",
      folder,
    );
    expect({ stdout, code }).toEqual({ stdout: `${folder}\n`, code: 0 });
    expect(stderr).toBe(
      `limpet: directory ${gone} does not exist on the server any more: ` +
        `going back to ${folder}\n`,
    );
  });

  test("a --workdir that is not there is a mistake at once", async () => {
    const { stdout, stderr, code } = await here("pwd\n", "-w", "/no/such");
    expect({ stdout, code }).toEqual({ stdout: "", code: 125 });
    expect(stderr).toContain("--workdir: directory /no/such does not exist");
  });

  test("what a line leaves running ends with the session", async () => {
    const { stdout, code } = await here(
      "sleep 1000 & echo $!\necho next\n",
      "--drain=50ms",
    );
    const [pid, next] = stdout.split("\n");
    expect({ next, code }).toEqual({ next: "next", code: 0 });
    await untilGone([Number(pid)]);
  });
});

describe(`shell on ${THIS_RUNTIME}`, () => {
  const server = useServer(serverFor(2));
  const env = () => ({ LIMPET_TOKEN_FILE: server().tokenFile });
  const shell = (input: string, ...flags: string[]): Promise<Outcome> =>
    limpet(["shell", ...flags, server().address], { input, env: env() });

  test.each([
    ["", "", "", 0],
    ["\n\n  \n\t\n", "", "", 0],
    ["echo no newline at the end", "no newline at the end\n", "", 0],
    ["echo a\r\necho b\r\n", "a\nb\n", "", 0],
    ["exit\necho never", "", "", 0],
    ["exit 3\necho never", "", "", 3],
    ["  exit   300 \n", "", "", 44],
    ["exit 1 2\necho on", "on\n", /exit/, 0],
    ["false\necho on", "on\n", "limpet: exit code 1\n", 0],
    ["(exit 77)", "", "limpet: exit code 77\n", 77],
    ["true\nfalse\n", "", "limpet: exit code 1\n", 1],
    ["false\n\n \n", "", "limpet: exit code 1\n", 1],
    ["false\ntrue", "", "limpet: exit code 1\n", 0],
    ["false\nexit", "", "limpet: exit code 1\n", 1],
    ["false\nexit 0", "", "limpet: exit code 1\n", 0],
    ["kill -KILL $$", "", "limpet: ended by SIGKILL\n", 137],
    ["no-such-command\n", "", /limpet: exit code 127\n$/, 127],
    ["kill -KILL $$\necho on", "on\n", "limpet: ended by SIGKILL\n", 0],
    ["exec echo replaced\necho on", "replaced\non\n", "", 0],
    ["echo a # echo b\necho c", "a\nc\n", "", 0],
    ["echo 'open\necho on", "on\n", /limpet: exit code 2\n$/, 0],
    ["if true\necho on", "on\n", /limpet: exit code 2\n$/, 0],
    ["no-such-command\necho on", "on\n", /limpet: exit code 127\n$/, 0],
    ["echo a\\\necho b", "a\nb\n", "", 0],
    ["cat\necho stdin is empty", "stdin is empty\n", "", 0],
    ["x=1; echo [$x]\necho [$x]", "[1]\n[]\n", "", 0],
    ["trap 'echo bye' EXIT; cd /\necho on", "bye\non\n", "", 0],
    ["printf 'no end'\necho X", "no endX\n", "", 0],
    ["cd /usr; false\npwd", "/usr\n", "limpet: exit code 1\n", 0],
    ["cd /usr; exit 5\npwd", "/usr\n", "limpet: exit code 5\n", 0],
    ["(cd /usr)\ncd /; (cd /usr); pwd", "/\n", "", 0],
    ["exit 3; #\n\n # no status\n#", "", "limpet: exit code 3\n", 3],
  ])("%j", async (input, stdout, stderr, code) => {
    // The other tests start the program; what a line comes to is core's affair.
    const outcome = await inProcess(["shell", server().address], env(), input);
    expect(outcome.stdout).toBe(stdout);
    expect(outcome.code).toBe(code);
    if (typeof stderr === "string") expect(outcome.stderr).toBe(stderr);
    else expect(outcome.stderr).toMatch(stderr);
  });

  test("flags hold for every line", async () => {
    const flags = ["-e", "A=1", "-w", "/usr", "--merge", "--timeout", "2s"];
    const outcome = await limpetHere(["shell", ...flags, server().address], {
      input: "echo $A; pwd; echo e >&2\nsleep 1000\necho on",
      env: env(),
    });
    expect(outcome).toMatchObject({
      code: 0,
      stdout: "1\n/usr\ne\non\n",
      stderr: "limpet: ended because its --timeout passed\n",
    });
  });

  test("the last line's status is the prompt's, a --timeout's too", async () => {
    const outcome = await limpetHere(
      ["shell", "--timeout", "300ms", server().address],
      { input: "true\nsleep 1000\n", env: env() },
    );
    expect(outcome).toMatchObject({
      code: 124,
      stderr: "limpet: ended because its --timeout passed\n",
    });
  });

  test("bytes that are no text pass through", async () => {
    const { bytes } = await shell("printf '\\377\\000\\036\\200'; echo\n");
    expect(bytes).toEqual(Uint8Array.of(255, 0, 30, 128, 10));
  });

  test("SIGINT ends the line that runs, not the prompt", async () => {
    const running = startLimpet(["shell", server().address], {
      env: env(),
      input: `${SLEEPER}\necho on\n`,
    });
    await running.says("\n");
    const pid = Number(/^pid (\d+)\n$/.exec(running.stdout())?.[1]);
    running.kill("SIGINT");
    expect(await running.outcome).toMatchObject({
      code: 0,
      stdout: `pid ${pid}\non\n`,
      stderr: "limpet: ended by SIGINT\n",
    });
    await untilGone([pid]);
  });

  test.each(
    [["shell", "SIGTERM", 143], ["demo", "SIGTERM", 143], [
      "demo",
      "SIGHUP",
      129,
    ], ["demo", "SIGINT", 130]] as const,
  )(
    "%s leaves on %s, and what it started with it",
    async (command, signal, code) => {
      const args = command === "demo" ? ["demo"] : ["shell", server().address];
      const running = startLimpet(args, { env: env(), input: "pipe" });
      running.child.stdin!.write("sleep 1000 >&- 2>&- & echo $!\n");
      await running.says("\n");
      const pid = Number(running.stdout());
      expect(isAlive(pid)).toBe(true);
      // A line of its own. That it failed is told by the prompt, to which the
      // signal is from then on: SIGINT would be for a line that runs.
      const failed = "limpet: exit code 1\n";
      running.child.stdin!.write("false\n");
      await running.complains(failed);
      running.kill(signal);
      expect(await running.outcome).toMatchObject({ code, stderr: failed });
      await untilGone([pid]);
    },
  );
});

describe("the two ways to start", () => {
  const input = "seq 1 100000\necho done\n";
  const ways = THIS_RUNTIME === "deno"
    ? [[program("deno"), "task", "--quiet", "start"]]
    : [
      ["npm", "start", "--silent"],
      [program("node"), join(ROOT, "adapters", "node", "start.mjs")],
    ];

  test.each(ways)("%s %s %s", async (...command) => {
    const running = start(command, { input, cwd: ROOT });
    const { code, bytes } = await running.outcome;
    expect(code).toBe(0);
    const expected = new Uint8Array([
      ...seqBytes(100_000),
      ...new TextEncoder().encode("done\n"),
    ]);
    expect(bytes.byteLength).toBe(expected.byteLength);
    expect(bytes.every((byte, i) => byte === expected[i])).toBe(true);
  });

  test.each([
    ["echo hi\nexit 7\n", 7, ""],
    ["echo hi; exit 7\n", 7, "limpet: exit code 7\n"],
  ])("demo: the exit code of %j", async (input, code, stderr) => {
    expect(await limpet(["demo"], { input })).toMatchObject({
      code,
      stdout: "hi\n",
      stderr,
    });
  });
});
