import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { seqBytes } from "./support/bytes.ts";
import {
  binFolder,
  start,
  startShell,
  temporaryFolder,
} from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import {
  lesson,
  lessonClient,
  type RawProcess,
  startLesson,
  startRaw,
  useRaw,
} from "./support/raw.ts";
import { ROOT, THIS_RUNTIME } from "./support/runtimes.ts";

const raw = useRaw();

/** With flags another one, and else the one for all. */
const serveRaw = (...flags: string[]): Promise<RawProcess> =>
  flags.length > 0 ? startRaw(flags) : Promise.resolve(raw());

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** 1492 bytes: one `recv`, and the rest of it. */
const LONG = text(seqBytes(400));

// A line without output, after which no more can have been added to what lay
// in the socket: nothing but that is its answer.
const SILENT = "sleep 5";

/** The same conversations with each server, and each client. */
type Talk = (
  server: RawProcess,
  lines: readonly string[],
  ...flags: string[]
) => Promise<string[]>;

const python: Talk = async ({ port }, lines, ...flags) => {
  const { code, stderr, answers } = await lessonClient(port, lines, ...flags);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return answers;
};

/** Answers of Limpet's shell follow each other; one each fits the tests below. */
const shell: Talk = async ({ address }, lines, ...flags) => {
  const { code, stderr, stdout } = await limpetHere(
    ["shell", "--insecure", ...flags, address],
    { input: lines.join("\n") },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return [stdout];
};

const pairs: readonly (readonly [
  string,
  (...flags: string[]) => Promise<RawProcess>,
  Talk,
])[] = [
  [
    "the lesson's client and limpet serve --raw",
    serveRaw,
    python,
  ],
  ["limpet shell and the lesson's server", startLesson, shell],
  ["limpet shell and limpet serve --raw", serveRaw, shell],
  // Python alone, whichever runtime started it: once is enough.
  ...THIS_RUNTIME === "node"
    ? [["the lesson's own two programs", startLesson, python] as const]
    : [],
];

describe.each(pairs)(`on ${THIS_RUNTIME}, %s`, (_, serve, talk) => {
  const all = async (...given: Parameters<Talk>) =>
    (await talk(...given)).join("");

  test("short answers, in their order", async () => {
    const lines = ["echo one", "printf two", "", "echo three >&2", "exit"];
    // What an empty line comes to is another test's.
    const wanted = lines.filter((line) => line !== "");
    expect(await all(await serve(), wanted)).toBe("one\ntwothree\n");
  });

  test("of a long answer the rest is the answer to the next line", async () => {
    const first = await all(await serve(), ["seq 1 400"]);
    expect(first).toBe(LONG.slice(0, 1_024));
    // Another server: the lesson's takes no client while a line still runs.
    expect(await all(await serve(), ["seq 1 400", SILENT])).toBe(LONG);
  });

  test("stderr after stdout, in one answer or in two", async () => {
    // Not three: the second could meet the third, and be glued to it.
    const got = await all(await serve(), ["echo err >&2; echo out", "echo 1"]);
    expect("out\nerr\n1\n".startsWith(got)).toBe(true);
    expect(got.startsWith("out\nerr\n")).toBe(true);
  });

  test("Chinese in UTF-8", async () => {
    const lines = ["echo 你好，世界", "printf '\\344\\270\\255'"];
    expect(await all(await serve(), lines)).toBe("你好，世界\n中");
  });

  test("Chinese in GBK, there and back", async () => {
    const server = await serve("--encoding", "gbk");
    const lines = [
      // What a console of that encoding prints, and what it is given.
      "echo 你好 | od -An -tx1 | tr -d ' \\n'",
      "printf '\\304\\343\\272\\303'",
      "echo 中文 | iconv -f utf-8 -t gbk",
    ];
    const spoken = server.running.stderr().includes("limpet: listening")
      // Limpet's shell gets the line as the console has it.
      ? ["c4e3bac30a", "你好"]
      // The lesson's gives Python's text to a shell that speaks UTF-8.
      : ["e4bda0e5a5bd0a", "你好", "中文\n"];
    const given = lines.slice(0, spoken.length);
    expect(await all(server, given, "--encoding", "gbk")).toBe(spoken.join(""));
  });
});

test("the lesson's client skips empty lines and leaves at exit", async () => {
  const { port } = raw();
  const { code, answers } = await lessonClient(
    port,
    ["", "echo a", "", "exit", "echo never"],
  );
  expect(code).toBe(0);
  // Skipping shows as a prompt right behind a prompt.
  expect(answers.filter((each) => each !== "")).toEqual(["a\n"]);
});

test("the lesson's client says that the server has gone", async () => {
  const { running, port } = await startRaw();
  const client = start(
    ["python3", lesson("client"), "127.0.0.1", String(port)],
    { input: "pipe" },
  );
  client.child.stdin!.write("echo on\n");
  await client.says("on\n");
  running.kill("SIGTERM");
  expect((await running.outcome).code).toBe(0);
  client.child.stdin!.write("echo off\n");
  expect((await client.outcome).code).not.toBe(0);
});

describe(`core/raw/README.md on ${THIS_RUNTIME}, as it stands`, () => {
  const page = readFileSync(join(ROOT, "core", "raw", "README.md"), "utf8");
  const commands = Array.from(
    page.matchAll(/^```sh\n(.*?)\n```/gms),
    ([, command]) => command,
  );
  const bin = binFolder(temporaryFolder());

  /** Its port is 8090; another one, so that several can be run at once. */
  async function run(server: string, client: string) {
    const onFree = server.startsWith("limpet ")
      ? `${server} tcp://127.0.0.1:0`
      : `${server} 127.0.0.1 0`;
    const serving = startShell(`exec ${onFree}`, bin, { cwd: ROOT });
    const listens = () => serving.stdout() + serving.stderr();
    await (server.startsWith("limpet ")
      ? serving.complains("listening on ")
      : serving.says("listening on "));
    const port = /listening on \S*:(\d+)/.exec(listens())?.[1];
    const there = client.includes("8090")
      ? client.replace("8090", `${port}`)
      : `${client} 127.0.0.1 ${port}`;
    const outcome = await startShell(there, bin, {
      cwd: ROOT,
      input: "echo hi there\n",
    }).outcome;
    serving.kill("SIGTERM");
    await serving.outcome;
    return outcome;
  }

  test("its two pairs of commands", async () => {
    expect(commands).toHaveLength(5);
    const pairs = [commands.slice(0, 2), commands.slice(2, 4)];
    for (const [server, client] of pairs) {
      const { code, stdout, stderr } = await run(server, client);
      expect({ code, stderr }, server).toEqual({ code: 0, stderr: "" });
      expect(stdout, server).toContain("hi there\n");
    }
  });

  test("its two lines that are sent at once", async () => {
    const { code, stdout, stderr } = await run(commands[0], commands[4]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    // Nothing guarantees that one `recv` brings both.
    expect(stdout).toMatch(/^b'a(echo b)?\\n'\n$/);
  });

  test("its links", () => {
    for (const [, path] of page.matchAll(/\]\(([^)#]+)\)/g)) {
      const file = join(ROOT, "core", "raw", path);
      expect(() => readFileSync(file), path).not.toThrow();
    }
  });
});
