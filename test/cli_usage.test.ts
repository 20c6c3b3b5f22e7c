import { describe, expect, test } from "vitest";
import { main } from "../core/cli/main.ts";
import { describeEvent } from "../core/cli/serve.ts";
import { reasonWords } from "../core/cli/reasons.ts";
import type { CliRuntime } from "../core/cli/runtime.ts";
import { cliRuntime } from "./support/cli_in_process.ts";
import { expectOwnWords, limpet, startLimpet } from "./support/cli.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

/** The command line on a machine that has nothing: what usage alone decides. */
async function dry(args: readonly string[], env: Record<string, string> = {}) {
  const written = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr") => ({
    isTerminal: false,
    columns: () => null,
    write: (bytes: Uint8Array) => {
      written[name] += new TextDecoder().decode(bytes);
      return Promise.resolve();
    },
  });
  const never = () => {
    throw new Error("Usage should have been refused before");
  };
  const runtime: CliRuntime = {
    name: "test 1.0",
    args,
    env: (name) => env[name],
    environment: never,
    isRoot: () => false,
    isWindows: false,
    files: {
      read: never,
      createPrivate: never,
      replacePrivate: never,
      status: never,
      remove: never,
      realPath: never,
      openLog: never,
    },
    jobFiles: {
      makeFolder: never,
      list: never,
      read: never,
      create: never,
      replace: never,
      remove: never,
      append: never,
      readAt: never,
      ownMark: never,
      isRunning: never,
    },
    dial: never,
    listen: never,
    inspectTls: never,
    spawner: never,
    platform: never,
    stdin: { isTerminal: false, open: never },
    stdout: output("stdout"),
    stderr: output("stderr"),
    onSignal: () => () => {},
    exit: never,
    editLines: never,
    stdio: never,
    labSockets: never,
    onUncaught: never,
  };
  return { code: await main(runtime), ...written };
}

const T = "127.0.0.1";
const L = "tls://127.0.0.1:1";

describe("a mistake is 125 and says what to do", () => {
  test.each([
    [["exec"], "exec needs a TARGET", true],
    [["exec", T], "exec needs a command: -- CMD ARG..., or -c LINE", true],
    [["exec", T, "--"], "exec needs a command", true],
    [["exec", T, "--", ""], "exec needs a command", true],
    [["exec", T, "ls"], '"ls" after the TARGET: write -- before', true],
    [["exec", "--", "ls"], "exec needs a TARGET", true],
    [["exec", T, "-c", "ls", "--", "ls"], "exclude each other", true],
    [["exec", T, "-c"], "-c needs a value: -c LINE", true],
    [["exec", "--timout", "3s", T], "Did you mean --timeout?", true],
    [["exec", "--timeout", "3", T, "-c", "x"], "--timeout 3 is no time", true],
    [["exec", "--timeout=3s", "--timeout=4s", T], "is given twice", true],
    [["exec", "--kill-after", "x", T, "-c", "x"], "--kill-after x is no", true],
    [["exec", "--output", "xml", T, "-c", "x"], "none of text and json", true],
    [["exec", "-e", "=x", T, "-c", "x"], '"=x" names no variable', true],
    [["exec", "ftp://x", "-c", "x"], "unknown scheme ftp://", true],
    [["exec", "box:x", "-c", "x"], '"x" is no port', true],
    [["exec", "cmd:", "-c", "x"], "it names no command", true],
    [["exec", "me@box", "-c", "x"], "Limpet has no user names", true],
    [["exec", "-t", T, "-c", "x"], "-t: a terminal on the other", false],
    [["exec", "--tty", T, "-c", "x"], "--tty: a terminal on the", false],
    [["exec", "-d", "--output", "json", T, "-c", "x"], "-d has no --out", true],
    [["exec", "-d", "--on-disconnect=kill", T, "-c", "x"], "-d and --on", true],
    [["exec", "--on-disconnect=stay", T, "-c", "x"], "stay is none of", true],
    [["exec", "--job-id", "../x", T, "-c", "x"], "cannot be the id of", true],
    [["ps"], "ps needs one TARGET", true],
    [["ps", "--output=xml", T], "--output xml is none of", true],
    [["logs", T], "logs needs a TARGET and a JOB", true],
    [["wait", T, "a", "b"], "wait takes one TARGET and one JOB", true],
    [["attach", T, ".."], "cannot be the id of a job", true],
    [["attach", "--stdout-offset=-1", T, "a"], "-1 is no number of", true],
    [["kill", "-s", "NOPE", T, "a"], "SIGNOPE", true],
    [["kill", "--kill-after=x", T, "a"], "--kill-after x is no time", true],
    [["exec", "--tls", T, "-c", "x"], "write tls://host:port", false],
    [["exec", "--pin", "f", T, "-c", "x"], "--pin is for tls://, not", true],
    [["exec", "--cert", "f", T, "-c", "x"], "--cert is for tls://, not", true],
    [["exec", "--pin", "f", L, "-c", "x"], 'Pin "f" is no fingerprint', true],
    [["exec", "--cert", "f", L, "-c", "x"], "--cert and --key go", true],
    [["shell"], "shell needs one TARGET and nothing more", true],
    [["shell", T, "ls"], "shell needs one TARGET", true],
    [["shell", T, "--", "ls"], "shell needs one TARGET", true],
    [["shell", "-i", T], "There is no flag -i", true],
    [["shell", "-t", T], "-t: a terminal on the other", false],
    [["serve", "a", "b"], "serve takes one ADDRESS at most", true],
    [["serve", "--", "a"], "serve takes one ADDRESS at most", true],
    [["serve", "--stdio", T], "--stdio and an ADDRESS exclude", true],
    [["serve", "--max-commands=0"], "no whole number above 0", true],
    [["serve", "--handshake-timeout=1"], "--handshake-timeout 1 is", true],
    [["serve", "--handshake-timeout=0s"], "out 0s leaves no time", true],
    [["exec", "--connect-timeout=0s", T, "-c", "x"], "leaves no time", true],
    [["serve", "--tls"], "write tls://host:port", false],
    [["serve", "--key=x"], "--key is for an ADDRESS that begins with", true],
    [["serve", "--client-ca=x", "--stdio"], "--client-ca is for an ADD", true],
    [["serve", "--pin=x", L], "There is no flag --pin", true],
    [["serve", "cmd:x"], "cannot be used", true],
    [["serve", "0.0.0.0"], "can be reached from other machines", true],
    [["serve", "tcp://[::]:8090"], "say --insecure if", true],
    [["demo", "x"], "demo takes no arguments", true],
    [["demo", "--timeout", "1s"], "There is no flag --timeout", true],
    [["lab", "stiky"], 'no experiment "stiky". Did you mean sticky?', true],
    [["lab", "dns"], 'no experiment "dns": there are sticky, nagle', true],
    [["lab", "constructor"], 'no experiment "constructor": there', true],
    [["lab", "sticky", "nagle"], "lab takes one experiment, or all", true],
    [["lab", "sticky", "--", "x"], "lab takes one experiment", true],
    [["lab", "sticky", "--lang", "fr"], "--lang fr is none of en and", true],
    [["lab", "sticky", "--port", "65536"], "--port 65536 is no port", true],
    [["lab", "sticky", "--port", "-1"], "--port -1 is no port", true],
    [["lab", "sticky", "--size", "9"], "--size is for the experiment", true],
    [["lab", "datagram", "--size", "0"], "--size 0 is no whole number", true],
    [["lab", "datagram", "--size", "1024"], "is not from 1025 to 65507", true],
    [["lab", "all", "--size", "65508"], "is not from 1025 to 65507", true],
    [["lab", "datagram", "--port", "1"], "--port is not for the experi", true],
    [["lab", "sticky", "--lang", "zhCN"], "--lang zhCN is none of", true],
    [["lab", "--json"], "--json needs an experiment, or all", true],
    [["config"], "config needs one of check, schema", true],
    [["token"], "token needs one of add, list, revoke", true],
    [["token", "ad"], 'no "token ad". Did you mean add?', true],
    [["token", "add"], "token add needs a NAME", true],
    [["token", "revoke"], "token revoke needs a NAME", true],
    [["token", "add", "a", "b"], "token add takes nothing more", true],
    [["token", "list", "a"], "token list takes no NAME", true],
    [["token", "list", "--from", "::1"], "--from is for token add", true],
    [["token", "revoke", "--json", "a"], "--json is for token list", true],
    [["key"], "key needs one of new, add, trust, show", true],
    [["key", "list"], 'no "key list": there are new, add, trust, show', true],
    [["key", "trust", "a"], "key trust needs a TARGET and its", true],
    [["key", "trust", "unix:/a", "b"], "not of unix:/a", true],
    [["key", "trust", "a", "b"], '"b" is no public key', true],
    [["exec", "--host-key", "x", T, "-c", "x"], "goes with --identity-f", true],
    [["key", "new", "a"], "key new takes no arguments", true],
    [["key", "add", "a"], "key add needs a NAME and a PUBLIC key", true],
    [["key", "add", "--out=x", "a", "b"], "--out is for key new", true],
    [["config", "chek"], 'no "config chek". Did you mean check?', true],
    [["config", "show"], 'no "config show": there are check, s', true],
    [["config", "check", "a", "b"], "takes one FILE at most", true],
    [["config", "schema", "a"], "config schema takes no FILE", true],
  ])("%j: %s", async (args, message, isUsage) => {
    const { code, stdout, stderr } = await dry(args, {
      LIMPET_TOKEN: "0123456789abcdef",
    });
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toContain(message);
    expectOwnWords(stderr);
    const hint = `limpet: see "limpet help ${args[0]}"\n`;
    expect(stderr.endsWith(hint)).toBe(isUsage);
  });

  test.each([
    ["exce", "exec"],
    ["serv", "serve"],
    ["shel", "shell"],
    ["cp", null],
    ["constructor", null],
    ["--verson", null],
  ])("there is no subcommand %s", async (name, near) => {
    const { code, stderr } = await dry([name]);
    const hint = near === null ? "" : `. Did you mean ${near}?`;
    expect(code).toBe(125);
    expect(stderr).toBe(
      `limpet: there is no subcommand "${name}"${hint}\n` +
        'limpet: see "limpet help"\n',
    );
    expect(await dry(["help", name])).toMatchObject({ code: 125, stderr });
  });

  test("LIMPET_LOG that is none of the three", async () => {
    const args = ["exec", T, "-c", "x"];
    const { code, stderr } = await dry(args, { LIMPET_LOG: "loud" });
    expect(code).toBe(125);
    expect(stderr).toContain(
      "LIMPET_LOG=loud is none of quiet, info and debug",
    );
  });

  test("what a message repeats cannot steer the terminal", async () => {
    const { stderr } = await dry(["exec", "\x1b[2J\u202ebox", "-c", "x"]);
    expect(stderr).toContain("\\x1b[2J\\u{202e}box");
    // deno-lint-ignore no-control-regex -- they are what it is about
    expect(stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\u202e]/);
  });
});

describe("help", () => {
  test("for everything, on stdout", async () => {
    const overview = await dry(["help"]);
    expect(overview).toMatchObject({ code: 0, stderr: "" });
    expect(await dry(["--help"])).toEqual(overview);
    expect(await dry(["-h"])).toEqual(overview);
    for (
      const name of [
        "serve",
        "exec",
        "shell",
        "demo",
        "lab",
        "config",
        "token",
        "key",
      ]
    ) {
      const help = await dry(["help", name]);
      expect(help).toMatchObject({ code: 0, stderr: "" });
      expect(help.stdout).toMatch(new RegExp(`^Usage: limpet ${name}`));
      expect(await dry([name, "--help"])).toEqual(help);
      expect(await dry([name, "-h", T])).toEqual(help);
      expect(overview.stdout).toContain(`limpet ${name} `);
    }
    const token = await dry(["help", "token"]);
    expect(token.stdout).toContain("LIMPET_TOKEN_FILE");
  });

  test("is not for a command's own --help", async () => {
    const { code, stderr } = await dry(["exec", "--", "ls", "--help"]);
    expect(code).toBe(125);
    expect(stderr).toContain("exec needs a TARGET");
  });
});

describe(`the program on ${THIS_RUNTIME}`, () => {
  test("alone prints the help on stderr and is 125", async () => {
    const { code, stdout, stderr } = await limpet([]);
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toBe((await dry(["help"])).stdout);
  });

  test("--version", async () => {
    for (const word of ["--version", "-V", "version"]) {
      const { code, stdout, stderr } = await limpet([word]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(
        new RegExp(
          `^limpet \\d+\\.\\d+\\.\\d+ \\(${THIS_RUNTIME} [\\d.]+\\)\n$`,
        ),
      );
    }
  });

  test("a mistake", async () => {
    const { code, stdout, stderr } = await limpet(["exec", "--qiet"]);
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toBe(
      "limpet: There is no flag --qiet. Did you mean --quiet?\n" +
        'limpet: see "limpet help exec"\n',
    );
  });

  test("colours: NO_COLOR before FORCE_COLOR, none into a pipe", async () => {
    const stderr = async (env: Record<string, string>) =>
      (await limpet(["exec"], { env })).stderr.split("\n")[0];
    const text = "limpet: exec needs a TARGET";
    const red = `\x1b[31m${text}\x1b[0m`;
    expect(await stderr({})).toBe(text);
    expect(await stderr({ FORCE_COLOR: "1" })).toBe(red);
    expect(await stderr({ FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(text);
    expect(await stderr({ FORCE_COLOR: "1", NO_COLOR: "" })).toBe(red);
  });

  test("a reader of the help who leaves early is no failure", async () => {
    const running = startLimpet(["help", "exec"]);
    running.child.stdout!.destroy();
    expect(await running.outcome).toMatchObject({ code: 0, stderr: "" });
  });
});

test("what it means to be root is told after mistakes, not before them", async () => {
  const { runtime, written } = cliRuntime(["serve", "--drain", "x"]);
  expect(await main({ ...runtime, isRoot: () => true })).toBe(125);
  expect(written.stderr).toBe(
    "limpet: --drain x is no time: write 500ms, 30s, 2m or 1h, 24 days at most\n" +
      'limpet: see "limpet help serve"\n',
  );
});

test("what a server had to leave behind is named, whatever was said of it before", () => {
  const event = {
    type: "command_left",
    time: 0,
    session: 0,
    peer: "server",
    identity: "ann",
    jobId: "j1",
    argv: ["cat", "/mnt/gone"],
    shell: false,
  } as const;
  expect(describeEvent({ ...event, pid: 4711 })).toEqual({
    text: "a command of ann is left behind, process 4711 does not end, not " +
      'even by SIGKILL: ["cat","/mnt/gone"]',
    important: true,
  });
  expect(describeEvent({ ...event, pid: null }).text).toBe(
    "a command of ann is left behind, it has not even started: " +
      '["cat","/mnt/gone"]',
  );
});

test("why a server ended a command is told in words, if they are known", () => {
  expect(reasonWords("runtime_limit")).toBe(
    "it ran for as long as its policy allows (maxRuntime)",
  );
  expect(reasonWords("toString")).toBe("toString");
});
