import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { connectTo } from "../core/dial.ts";
import type { Machine } from "../core/machine.ts";
import { parseAddress, parseTarget } from "../core/target.ts";
import {
  expectOwnWords,
  limpet,
  startLimpet,
  temporaryFolder,
} from "./support/cli.ts";
import { inProcess, limpetHere } from "./support/cli_in_process.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive } from "./support/processes.ts";
import { startLesson, startRaw, useRaw } from "./support/raw.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { startServer } from "./support/servers.ts";

const TOKEN = { LIMPET_TOKEN: "0123456789abcdef" };
const RAW = "raw://127.0.0.1:1";

const raw = useRaw();
const folder = temporaryFolder();
const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** A server that greets each connection like this, and then says nothing. */
async function greeter(greeting: string | Uint8Array): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(greeting);
    socket.resume();
    socket.on("end", () => socket.end());
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve());
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("port");
  return address.port;
}

describe(`refused on ${THIS_RUNTIME}, with 125`, () => {
  test.each(
    [
      [["serve", "--raw"], "has no authentication"],
      [["serve", "--raw", "tcp://127.0.0.1:0"], "say --insecure if you know"],
      [
        ["serve", "--raw", "--insecure", "tcp://0.0.0.0:0"],
        "tcp://0.0.0.0:0 is not on the loopback interface",
      ],
      [["serve", "--raw", "--insecure", "[::]:0"], "not on the loopback"],
      [["serve", "--raw", "--insecure", "box.lan:0"], "not on the loopback"],
      [["serve", "--raw", "--insecure", "192.168.1.2:0"], "not on the loop"],
      [
        ["serve", "--raw", "--insecure", "127.0.0.1.evil.example:0"],
        "not on the loopback",
      ],
      [["serve", "--raw", "--insecure", "unix:/tmp/x"], "it is for TCP"],
      [["serve", "--raw", "--insecure", RAW], "write --raw tcp://host:port"],
      [["serve", RAW], "write --raw tcp://host:port"],
      [["serve", "--raw", "--insecure", "--stdio"], "--stdio cannot be had"],
      [
        ["serve", "--raw", "--insecure", "--token-file", "x"],
        "--token-file cannot be had with the raw protocol",
      ],
      [["serve", "--raw", "--insecure", "--max-commands=1"], "--max-commands"],
      [
        ["serve", "--raw", "--insecure", "--encoding", "gkb"],
        'There is no encoding "gkb"',
      ],
      [["shell", RAW], "has no authentication"],
      [["shell", "--insecure", "raw://box.lan"], "not on the loopback"],
      [["shell", "--insecure", "raw://"], "it names no host"],
      [["shell", "--insecure", "raw:127.0.0.1"], "// is missing after raw:"],
      [["shell", "--insecure", "--merge", RAW], "--merge cannot be had"],
      [["shell", "--insecure", "-w", "/", RAW], "--workdir cannot be had"],
      [["exec", RAW, "-c", "ls"], "has no authentication"],
      [["exec", "--insecure", "raw://10.0.0.1", "-c", "ls"], "not on the loop"],
      [
        ["shell", "--insecure", "raw://10.0.0.1"],
        "and tcp:// to connect to it",
      ],
      [["exec", "--insecure", RAW, "--", "ls"], "use -c LINE"],
      [["exec", "--insecure", RAW, "-c", ""], "-c needs a line"],
      [["exec", "--insecure", RAW], "exec needs a command"],
      [["exec", "--insecure", "-e", "A=1", RAW, "-c", "x"], "--env cannot"],
      [["exec", "--insecure", "-i", RAW, "-c", "x"], "--stdin cannot"],
      [["exec", "--insecure", "--kill-after=1s", RAW, "-c", "x"], "--kill-aft"],
      [["exec", "--insecure", "--drain=1s", RAW, "-c", "x"], "--drain cannot"],
      [["exec", "--insecure", "--output=json", RAW, "-c", "x"], "--output can"],
      [
        ["exec", "--insecure", "--token-file=x", RAW, "-c", "x"],
        "--token-file",
      ],
    ] as const,
  )("%j", async (args, message) => {
    const { code, stdout, stderr } = await inProcess(args);
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).toContain(`limpet: see "limpet help ${args[0]}"\n`);
    expectOwnWords(stderr);
  });

  test("the library has no sessions there", async () => {
    const nothing = {} as Machine;
    await expect(connectTo(nothing, RAW)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("the raw protocol has no sessions"),
    });
  });

  test("its addresses", () => {
    expect(parseTarget("raw://localhost")).toEqual({
      kind: "raw",
      hostname: "localhost",
      port: 8090,
    });
    expect(parseTarget("RAW://[::1]:1")).toEqual({
      kind: "raw",
      hostname: "::1",
      port: 1,
    });
    expect(() => parseAddress(RAW)).toThrow("raw:// is for those who connect");
  });
});

describe(`exec raw:// on ${THIS_RUNTIME}`, () => {
  const exec = (address: string, line: string, ...flags: string[]) =>
    limpetHere(["exec", "--insecure", ...flags, address, "-c", line]);
  const UNKNOWN = "limpet: what became of the command is unknown: ";

  test.each([["limpet", raw], ["the lesson", startLesson]] as const)(
    "one answer of %s, and that nothing is known of its end",
    async (_, serve) => {
      const { address } = await serve();
      const args = ["exec", "--insecure", address, "-c", "echo hi; exit 3"];
      const short = await limpet(args);
      expect(short).toMatchObject({ code: 255, stdout: "hi\n" });
      expect(short.stderr.startsWith(UNKNOWN)).toBe(true);
      const long = await exec(address, "seq 1 400");
      expect(long).toMatchObject({ code: 255 });
      expect(long.bytes.byteLength).toBe(1_024);
      const bytes = await exec(address, "printf '\\377\\000\\200'");
      expect(bytes.bytes).toEqual(Uint8Array.of(255, 0, 128));
      const asText = await exec(address, "printf '\\377'", "--encoding=utf-8");
      expect(asText.stdout).toBe("\ufffd");
    },
  );

  test("a silent command", async () => {
    const { address } = raw();
    const { code, stdout, stderr } = await exec(
      address,
      "true",
      "--timeout=1s",
    );
    expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
    expect(stderr).toContain("No answer within 1000 ms: a command that prints");
    expectOwnWords(stderr);
  });

  test("nobody there", async () => {
    const port = await greeter("");
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const { code, stderr } = await exec(`raw://127.0.0.1:${port}`, "ls");
    expect(code).toBe(255);
    expect(stderr).toContain("connection refused");
  });

  test("a character that the encoding lacks", async () => {
    const { address } = raw();
    const { code, stderr } = await exec(address, "echo ☃", "--encoding=gbk");
    expect(code).toBe(125);
    expect(stderr).toContain('The character "☃"');
  });
});

describe(`frames and none, on ${THIS_RUNTIME}`, () => {
  test.each(["exec", "shell"])(
    "limpet %s raw:// at a server of frames",
    async (command) => {
      await using server = await startServer(THIS_RUNTIME);
      const address = server.address.replace("tcp:", "raw:");
      const line = command === "exec" ? ["-c", "echo ran"] : [];
      const { code, stdout, stderr } = await limpetHere(
        [command, "--insecure", address, ...line],
        { input: "echo ran\n" },
      );
      expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
      expect(stderr).toContain("closed the connection without ever answering");
      expect(stderr).toContain(`use ${server.address}`);
      expectOwnWords(stderr);
      const said =
        'it sent the text "echo ran". limpet serve --raw is for clients that';
      await eventually(() => server.log().includes(said), server.log);
    },
  );

  test("a server that begins with a preface", async () => {
    const preface = [0xaf, 0x4c, 0x50, 0x54, 0x0d, 0x0a, 0x1a, 0x53];
    const port = await greeter(Uint8Array.from(preface));
    const { code, stdout, stderr } = await limpetHere(
      ["exec", "--insecure", `raw://127.0.0.1:${port}`, "-c", "ls"],
    );
    expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
    expect(stderr).toContain("answers with Limpet's frames");
    expect(stderr).toContain(`use tcp://127.0.0.1:${port}`);
  });

  test.each([
    ["sh: not found\n\x1b[2J", 'the text "sh: not found\\\\n\\\\u001b[2J"'],
    ["命令", 'the text "命令"'],
    [Uint8Array.of(1, 2, 255), "the bytes 01 02 ff"],
  ])("a client of frames at a server that answers %j", async (said, shown) => {
    const port = await greeter(said);
    const { code, stdout, stderr } = await limpetHere(
      ["exec", `127.0.0.1:${port}`, "--", "ls"],
      { env: TOKEN },
    );
    expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
    expect(stderr).toContain(`it sent ${shown.replaceAll("\\\\", "\\")}`);
    expect(stderr).toContain(
      `raw://127.0.0.1:${port} is for a server that answers`,
    );
    expectOwnWords(stderr);
  });

  test("a client of frames at limpet serve --raw is told in a whole line", async () => {
    const { address } = raw();
    const { code, stdout, stderr } = await limpetHere(
      ["exec", address.replace("raw:", "tcp:"), "--", "ls"],
      { env: TOKEN },
    );
    expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
    expect(stderr).toContain('use raw://, not tcp://.\\n"');
    expectOwnWords(stderr);
  });

  test("a client of frames at a server that says nothing", async () => {
    const port = await greeter("");
    const { code, stderr } = await limpetHere(
      ["exec", "--connect-timeout=1s", `127.0.0.1:${port}`, "--", "ls"],
      { env: TOKEN },
    );
    expect(code).toBe(255);
    expect(stderr).toContain(
      `127.0.0.1:${port} within 1s: it takes connections`,
    );
    expect(stderr).toContain(`raw://127.0.0.1:${port}`);
  });

  test("a client of frames at the lesson's server", async () => {
    const { port } = await startLesson();
    const { code, stdout, stderr } = await limpetHere(
      ["exec", "--connect-timeout=5s", `127.0.0.1:${port}`, "--", "ls"],
      { env: TOKEN },
    );
    expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
    expect(stderr).toContain(`raw://127.0.0.1:${port}`);
  });
});

describe(`shell raw:// on ${THIS_RUNTIME}`, () => {
  const start = (address: string, ...flags: string[]) =>
    startLimpet(["shell", "--insecure", ...flags, address], { input: "pipe" });

  test("a late answer is taken for that to the next line", async () => {
    const { address } = raw();
    const gate = join(folder, "gate");
    const shell = start(address, "--timeout=60s");
    const waits = join(folder, "waits");
    shell.child.stdin!.write(
      `touch ${waits}; until [ -e ${gate} ]; do sleep 0.05; done; echo late\n`,
    );
    await eventually(() => existsSync(waits), () => "the line runs");
    shell.kill("SIGINT");
    await shell.complains("not waiting any longer");
    expect(shell.stdout()).toBe("");
    writeFileSync(gate, "");
    const started = join(folder, "second");
    const second = join(folder, "second gate");
    shell.child.stdin!.write(
      `touch ${started}; until [ -e '${second}' ]; do sleep 0.05; done; ` +
        "echo next\n",
    );
    await shell.says("late\n");
    // Else the server could take the next line for a part of this one.
    await eventually(() => existsSync(started), () => "the line runs");
    expect(shell.stdout()).toBe("late\n");
    shell.child.stdin!.end("true\n");
    writeFileSync(second, "");
    const { code, stdout } = await shell.outcome;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "late\nnext\n" });
  });

  test("a line without an answer is given up after its time", async () => {
    const { address } = raw();
    const { code, stdout, stderr } = await limpetHere(
      ["shell", "--insecure", "--timeout=500ms", address],
      { input: "true\n" },
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain("No answer within 500 ms");
    expectOwnWords(stderr);
  });

  test("empty lines are not sent, which is said once", async () => {
    const { address } = raw();
    const { code, stdout, stderr } = await limpetHere(
      ["shell", "--insecure", address],
      { input: "\n\necho a\n\n  exit  \necho never\n" },
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "a\n" });
    expect(stderr).toMatch(/^limpet: an empty line is not sent[^\n]*\n$/);
  });

  test("exit N leaves with N", async () => {
    const { address } = raw();
    expect(
      await limpet(
        ["shell", "--insecure", address],
        { input: "echo a\n exit  259 \necho never\n" },
      ),
    ).toMatchObject({ code: 3, stdout: "a\n", stderr: "" });
  });

  test("a line that cannot be written is told, and the next one runs", async () => {
    const { address } = raw();
    const { code, stdout, stderr } = await limpetHere(
      ["shell", "--insecure", "--encoding=gbk", address],
      { input: "echo ☃\necho a\n" },
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "a\n" });
    expect(stderr).toContain('The character "☃"');
  });

  test("SIGINT gives up waiting, and not the prompt", async () => {
    const { running, address } = await startRaw();
    const shell = start(address, "--timeout=20s");
    const file = join(folder, "started");
    shell.child.stdin!.write(`echo $$ >${file}; exec sleep 1000\n`);
    const pid = () => existsSync(file) && Number(readFileSync(file, "utf8"));
    // It waits since before it sent the line.
    await eventually(() => pid() !== false && pid() !== 0, () => "it runs");
    shell.kill("SIGINT");
    await shell.complains("not waiting any longer");
    shell.child.stdin!.end("exit\n");
    expect((await shell.outcome).code).toBe(0);
    // It still runs, and is the server's to end.
    running.kill("SIGTERM");
    expect((await running.outcome).code).toBe(0);
    expect(isAlive(Number(pid()))).toBe(false);
  });

  test.each([["SIGTERM", 143], ["SIGHUP", 129], ["SIGINT", 130]] as const)(
    "%s at the prompt leaves",
    async (signal, status) => {
      const { address } = raw();
      const shell = start(address);
      shell.child.stdin!.write("echo on\n");
      await shell.says("on\n");
      // The answer is out before the wait for it is over.
      shell.child.stdin!.write("\n");
      await shell.complains("an empty line is not sent");
      shell.kill(signal);
      expect((await shell.outcome).code).toBe(status);
    },
  );

  test("a server that goes is told at once, with 255", async () => {
    for (const waiting of [false, true]) {
      const { running, address } = await startRaw();
      const shell = start(address, "--timeout=20s");
      shell.child.stdin!.write("echo on\n");
      await shell.says("on\n");
      if (waiting) shell.child.stdin!.write("echo in >&2; exec sleep 1000\n");
      running.kill("SIGTERM");
      expect((await running.outcome).code).toBe(0);
      const { code, stderr } = await shell.outcome;
      expect(code).toBe(255);
      expect(stderr).toContain("closed the connection");
      expectOwnWords(stderr);
    }
  });
});
