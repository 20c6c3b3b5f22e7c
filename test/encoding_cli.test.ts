import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  environment,
  expectOwnWords,
  limpet,
  quoted,
  start,
  temporaryFolder,
} from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { decodeText } from "../core/text/mod.ts";
import { bytesOf } from "./support/encodings.ts";
import { eventually } from "./support/leaks.ts";
import { cli, ROOT, THIS_RUNTIME } from "./support/runtimes.ts";
import {
  serverFor,
  type ServerProcess,
  startServer,
  useServer,
} from "./support/servers.ts";

const folder = temporaryFolder();
const GBK_LOCALE = { LC_ALL: "zh_CN.GBK" };

interface Given {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

/** A client of a server, as a program or in this process. */
const client =
  (run: typeof limpet | typeof limpetHere, server: () => ServerProcess) =>
  (args: readonly string[], options: Given = {}) =>
    run(args.map((arg) => arg === "TARGET" ? server().address : arg), {
      ...options,
      env: { LIMPET_TOKEN_FILE: server().tokenFile, ...options.env },
    });

describe(`a server whose locale is GBK, on ${serverFor(0)}`, () => {
  const server = useServer(serverFor(0), ["-v"], GBK_LOCALE);
  const run = client(limpetHere, server);
  const program = client(limpet, server);
  const gbk = (text: string) => bytesOf(text, "gbk");

  test("says so in the handshake", async () => {
    await using session = await server().connect();
    expect(session.platform.encoding).toBe("gbk");
    expect(server().log()).toContain("commands speak gbk");
  });

  test("gets lines and arguments in it, and bytes stay bytes", async () => {
    const line = await run(["exec", "TARGET", "-c", "echo 你好; echo 错 >&2"]);
    expect(line.code).toBe(0);
    expect(line.bytes).toEqual(gbk("你好\n"));
    const args = await run(["exec", "TARGET", "--", "printf", "%s|", "表\\"]);
    expect(args.bytes).toEqual(gbk("表\\|"));
    const raw = await program(["exec", "-i", "TARGET", "--", "cat"], {
      input: Uint8Array.of(0, 255, 0xc4, 10),
    });
    expect(raw.bytes).toEqual(Uint8Array.of(0, 255, 0xc4, 10));
    const wrong = await run(["exec", "TARGET", "--", "echo", "😀"]);
    expect(wrong).toMatchObject({ code: 125, stdout: "" });
    expect(wrong.stderr).toContain('"😀" (U+1F600) cannot be written in gbk');
    expectOwnWords(wrong.stderr);
  });

  test("--encoding makes text of both streams and of stdin", async () => {
    const line = "echo 你好; printf 'x\\377\\304' ; echo 错误 >&2";
    const text = await run([
      ...["exec", "--encoding", "gbk", "TARGET", "-c", line],
    ]);
    expect(text).toMatchObject({
      code: 0,
      stdout: "你好\nx\ufffd\ufffd",
      stderr: "错误\n",
    });
    const fed = await run(
      ["exec", "-i", "--encoding=GBK", "TARGET", "--", "od", "-An", "-tx1"],
      { input: "你好" },
    );
    expect(fed.stdout).toBe(" c4 e3 ba c3\n");
    const broken = await run(
      ["exec", "-i", "--encoding=gbk", "TARGET", "--", "cat"],
      { input: "a😀" },
    );
    expect(broken.code).not.toBe(0);
    expect(broken.stderr).toContain('"😀" (U+1F600) cannot be written in gbk');
    expectOwnWords(broken.stderr);
    const wide = await run([
      ...["exec", "--encoding=utf-16le", "TARGET", "-c"],
      "printf 你 | iconv -f gbk -t utf-16le",
    ]);
    expect(wide).toMatchObject({ code: 0, stdout: "你", stderr: "" });
  });

  test("--output json: text with --encoding, else base64", async () => {
    const args = [
      "exec",
      "--output=json",
      "TARGET",
      "-c",
      "echo 你; echo e >&2",
    ];
    const plain = JSON.parse((await run(args)).stdout);
    expect(plain).toMatchObject({
      stdout: btoa(String.fromCharCode(...gbk("你\n"))),
      stdoutEncoding: "base64",
      stderr: "e\n",
      stderrEncoding: "utf-8",
    });
    const text = JSON.parse(
      (await run(["exec", "--encoding=cp936", ...args.slice(1)])).stdout,
    );
    expect(text).toMatchObject({
      stdout: "你\n",
      stdoutEncoding: "gbk",
      stderr: "e\n",
      stderrEncoding: "gbk",
    });
  });

  test("at the prompt lines go and come as text, and cd lasts", async () => {
    const input = [
      `cd '${folder}'; mkdir '目 录 表'; cd '目 录 表'`,
      "pwd",
      "echo 你好; echo 错误 >&2",
      `printf '\\304'; cd '${folder}'; rmdir '目 录 表'`,
      "echo",
      // A name that is no text cannot be gone back to, and is left.
      'd=$(printf \'x\\377\'); mkdir "$d"; cd "$d"',
      "echo never",
      "echo on",
      `rmdir '${folder}'/x*`,
    ].join("\n");
    const outcome = await run(["shell", "-w", folder, "TARGET"], { input });
    expect(outcome.stdout).toBe(
      `${folder}/目 录 表\n你好\n\ufffd\non\n`,
    );
    expect(outcome.stderr).toMatch(
      /^错误\nlimpet: directory .* going back to /,
    );
    expect(outcome.code).toBe(0);
    const wide = await run(["shell", "--encoding=utf-16le", "TARGET"], {
      input: "cd /usr\nprintf 你 | iconv -f gbk -t utf-16le\n" +
        "pwd | iconv -t utf-16le\n",
    });
    expect(wide).toMatchObject({ code: 0, stdout: "你/usr\n", stderr: "" });
  });

  test("and a client whose locale is GBK as well changes nothing", async () => {
    const options = { env: GBK_LOCALE };
    const text = await program(
      ["exec", "-i", "--encoding=gbk", "TARGET", "--", "cat"],
      { ...options, input: gbk("你好") },
    );
    expect(text.bytes).toEqual(gbk("你好"));
    const prompt = await program(["shell", "TARGET"], {
      ...options,
      input: gbk("echo 你好\n"),
    });
    expect(prompt.bytes).toEqual(gbk("你好\n"));
  });
});

describe(`a server in UTF-8, on ${serverFor(1)}`, () => {
  const server = useServer(serverFor(1), ["--encoding", "utf8"], GBK_LOCALE);
  const run = client(limpetHere, server);
  const program = client(limpet, server);

  test("--encoding overrides its locale", async () => {
    await using session = await server().connect();
    expect(session.platform.encoding).toBe("utf-8");
  });

  test("a client whose locale is GBK reads and writes GBK", async () => {
    const options = { env: GBK_LOCALE };
    const prompt = await program(["shell", "TARGET"], {
      ...options,
      input: bytesOf("echo 你好; printf '\\360\\237\\230\\200'\n", "gbk"),
    });
    expect(prompt.bytes).toEqual(bytesOf("你好\n?", "gbk"));
    const line = "printf '\\344\\275\\240'";
    const raw = await run(["exec", "TARGET", "-c", line], options);
    expect(raw.bytes).toEqual(bytesOf("你", "utf-8"));
    const text = await program(
      ["exec", "--encoding=utf-8", "TARGET", "-c", line],
      options,
    );
    expect(text.bytes).toEqual(bytesOf("你", "gbk"));
  });

  test("arguments in GBK are refused rather than changed", async () => {
    const words = [...cli(THIS_RUNTIME), "exec", server().address].map(quoted);
    const { code, stdout, stderr } = await start(["/bin/sh"], {
      input: bytesOf(`${words.join(" ")} -- echo 你\n`, "gbk"),
      env: { ...GBK_LOCALE, LIMPET_TOKEN_FILE: server().tokenFile },
    }).outcome;
    // Deno does so by itself, before we begin.
    expect(code).toBe(THIS_RUNTIME === "deno" ? 1 : 125);
    expect(stdout).toBe("");
    expect(stderr).toContain("UTF-8");
  });

  test("a client may ask for an encoding of its own", async () => {
    const args = ["exec", "--encoding=gbk", "TARGET"];
    const words = await run([...args, "--", "echo", "你好"]);
    expect(words).toMatchObject({ code: 0, stdout: "你好\n", stderr: "" });
    const bytes = await run([...args, "-c", "printf 你 | od -An -tx1"]);
    expect(bytes.stdout).toBe(" c4 e3\n");
  });

  test("stdin that is no text is told from text that cannot go", async () => {
    const { code, stderr } = await run(
      ["exec", "-i", "--encoding=gbk", "TARGET", "--", "cat"],
      { input: Uint8Array.of(0x61, 0xff) },
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain("What is to be written in gbk was no valid text");
    expectOwnWords(stderr);
  });

  test("our own words are in our locale's encoding", async () => {
    const lab = await limpet(["lab", "--lang=zh"], { env: GBK_LOCALE });
    expect(decodeText(lab.bytes, "gbk")).toContain("粘包");
    const error = await run(["exec", "-w", "/目录", "TARGET", "--", "pwd"], {
      env: { LC_ALL: "zh_CN.GBK" },
    });
    expect(error.code).toBe(125);
    expect(error.stderr).not.toContain("目录");
  });

  test("so are they where the prompt gets them", async () => {
    const words = [...cli(THIS_RUNTIME), "shell", server().address].map(quoted);
    const { code, stdout, stderr } = await start(["/bin/sh"], {
      input: bytesOf(`echo pwd | ${words.join(" ")} -w /tmp/你\n`, "gbk"),
      env: { ...GBK_LOCALE, LIMPET_TOKEN_FILE: server().tokenFile },
    }).outcome;
    expect(code).toBe(THIS_RUNTIME === "deno" ? 1 : 125);
    expect(stdout).toBe("");
    expect(stderr).toContain("UTF-8");
  });

  test("JSON says which character could not be written", async () => {
    const { code, stdout } = await run(
      ["exec", "-i", "--output=json", "--encoding=gbk", "TARGET", "--", "cat"],
      { input: "a😀" },
    );
    expect(code).not.toBe(0);
    expect(JSON.parse(stdout).error.message).toMatch(
      /^Command "cat" was ended because its input broke off: The character "😀"/,
    );
  });

  test.each([
    ["shift_jis", "a\x7fb\x1c", [0x61, 0x7f, 0x62, 0x1c]],
    ["ibm866", "ж\x1a", [0xa6, 0x1a]],
    ["utf-32", "a", [0x61, 0, 0, 0]],
    ["936", "你", [0xc4, 0xe3]],
    ["437", "ü", [0x81]],
  ])("stdin in %s", async (encoding, input, bytes) => {
    const args = ["exec", "-i", `--encoding=${encoding}`, "TARGET", "-c"];
    const file = join(folder, `in-${encoding}`);
    const back = await run([...args, `tee ${file}`], { input });
    expect(back).toMatchObject({ code: 0, stdout: input });
    expect([...readFileSync(file)]).toEqual(bytes);
  });

  test("a byte-order mark is no part of text", async () => {
    const marked = ["-c", "printf '\\357\\273\\277a'"];
    const text = await run(["exec", "--encoding=utf-8", "TARGET", ...marked]);
    expect(text.bytes).toEqual(Uint8Array.of(0x61));
    const raw = await run(["exec", "TARGET", ...marked]);
    expect(raw.bytes).toEqual(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61));
  });
});

test.each([
  ["exec", ["exec", "tcp://127.0.0.1:1", "--encoding=gkb", "--", "true"]],
  ["shell", ["shell", "--encoding=gkb", "tcp://127.0.0.1:1"]],
  ["serve", ["serve", "--encoding=gkb", "tcp://127.0.0.1:0"]],
])("%s refuses a name that nobody knows", async (_, args) => {
  const outcome = await limpetHere(args, {
    env: { LIMPET_TOKEN: "0123456789abcdef0123456789abcdef" },
  });
  expect(outcome).toMatchObject({ code: 125, stdout: "" });
  expect(outcome.stderr).toContain('There is no encoding "gkb". Did you mean ');
  expect(outcome.stderr).toContain("gbk");
  expectOwnWords(outcome.stderr);
});

test("no console speaks UTF-16", async () => {
  const outcome = await limpetHere(["serve", "--encoding=utf-16le"], {
    env: { LIMPET_TOKEN: "0123456789abcdef0123456789abcdef" },
  });
  expect(outcome).toMatchObject({ code: 125, stdout: "" });
  expect(outcome.stderr).toContain("--encoding utf-16le cannot be a console's");
});

test("a locale that nobody knows is told, and taken for UTF-8", async () => {
  await using server = await startServer(serverFor(2), [], {
    LC_ALL: "zh_TW.EUC-TW",
  });
  expect(server.log()).toContain(
    `taking this machine's console for UTF-8: There is no encoding "EUC-TW"`,
  );
  await using session = await server.connect();
  expect(session.platform.encoding).toBe("utf-8");
});

describe("in a terminal", () => {
  const socket = join(folder, "tmux");
  const env = environment({ TERM: "xterm-256color", LC_ALL: "C.UTF-8" });
  const tmux = (...args: string[]) =>
    execFileSync("tmux", ["-u", "-S", socket, "-f", "/dev/null", ...args], {
      encoding: "utf8",
      env,
    });
  tmux("new-session", "-d", "-s", "keep", "cat");
  afterAll(() => tmux("kill-server"));

  test(`GBK is shown as text, on ${THIS_RUNTIME}`, async () => {
    await using server = await startServer(serverFor(0), [], GBK_LOCALE);
    const args = ["exec", server.address, "-c"];
    const line = "echo 你好，世界; printf 'x\\377y\\304'";
    const words = [...cli(THIS_RUNTIME), ...args, line].map(quoted).join(" ");
    const shell = [...cli(THIS_RUNTIME), "shell", server.address].map(quoted);
    const script = `export LIMPET_TOKEN_FILE=${quoted(server.tokenFile)}; ` +
      `cd ${quoted(ROOT)}; ${words}; echo " left $?"; ${shell.join(" ")}; ` +
      'echo "prompt left $?"; cat';
    tmux(..."new-session -d -s t -x 100 -y 24 sh -c".split(" "), script);
    const screen = () => tmux("capture-pane", "-p", "-J", "-t", "t");
    const shows = (text: string) =>
      eventually(() => screen().includes(text), screen);
    await shows("你好，世界\nx\ufffdy\ufffd left 0\n");
    await shows("\n>>:");
    tmux("send-keys", "-t", "t", "-l", "echo 第一; echo 第二 >&2");
    await shows(">>: echo 第一; echo 第二 >&2");
    tmux("send-keys", "-t", "t", "Enter");
    await shows("\n第一\n第二\n>>:");
    tmux("send-keys", "-t", "t", "C-d");
    await shows("\nprompt left 0\n");
    tmux("kill-session", "-t", "t");
  });
});
