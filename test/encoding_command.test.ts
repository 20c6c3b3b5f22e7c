import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toProgram } from "../core/adapter/command.ts";
import { encodeCommand } from "../core/adapter/encoded.ts";
import { LimpetError } from "../core/errors.ts";
import type { Command, ConsoleText } from "../core/ports.ts";
import { encodeText } from "../core/text/mod.ts";
import { adapter } from "./support/adapter.ts";
import { concat, receive, textOf } from "./support/bytes.ts";
import {
  allOfGbk,
  bytesOf,
  codecOf,
  gbkLocale,
  posixShells,
} from "./support/encodings.ts";
import { checkLeaks } from "./support/leaks.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "limpet-encoded-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PATH = "/usr/bin:/bin";
const gbk = codecOf("gbk");

function gbkBytes(text: string): Uint8Array {
  return bytesOf(text, "gbk");
}

/** Runs a script in the folder: no runtime's own calls can make names in GBK. */
function prepare(script: string): void {
  const input = gbkBytes(`set -e\n${script}`);
  const { status, stderr } = spawnSync("/bin/sh", [], { cwd: folder, input });
  expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: "" });
}

function consoleText(...variables: string[]): ConsoleText {
  return { variables, encode: (text) => encodeText(text, gbk) };
}

/** Arguments that something between here and the program may not like. */
const WORDS = [
  "",
  "中文",
  "",
  allOfGbk(),
  "第一行\n第二行\n\n\n",
  "\n",
  " 头\t尾 ",
  "-n",
  "--",
  "-选项",
  "'\"`$(id)$HOME\\ *?[a]~#!{a,b};&|<>中",
  "\\0101\\n\\c%s%%",
  "a=中",
  ...Array.from({ length: 31 }, (_, i) => {
    const control = String.fromCharCode(i + 1);
    return `${control}中${control}`;
    // One of them must be left to cut the words apart at.
  }).filter((word) => !word.includes("\x06")),
  "\x7f中\x7f",
  ...Array.from({ length: 200 }, (_, i) => `第${i}`),
];

/** As `printf '%s\0'` prints them. */
function printed(words: readonly string[]): Uint8Array {
  return concat(
    words.flatMap((word) => [gbkBytes(word), Uint8Array.of(0)]),
  );
}

const PRINTED = printed(WORDS);

/** As `toEqual`, which takes a second for so many bytes. */
function expectSame(bytes: Uint8Array, expected: Uint8Array): void {
  const at = expected.findIndex((byte, i) => bytes[i] !== byte);
  expect({ at, length: bytes.byteLength })
    .toEqual({ at: -1, length: expected.byteLength });
}

const locale = gbkLocale(folder);
const LOCALES: Record<string, string>[] = [
  { LC_ALL: "C" },
  { LC_ALL: "C.UTF-8" },
  ...(locale === null ? [] : [locale]),
];

describe.each(posixShells().map((shell) => [shell.join(" "), shell] as const))(
  "words in octal, unpacked by %s,",
  (_, [shell, ...flags]) => {
    test.each(LOCALES)("come out byte for byte in %j", (variables) => {
      const encoded = encodeCommand({
        argv: ["/usr/bin/printf", "%s\\0", ...WORDS],
        env: {},
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        consoleText: consoleText(),
      });
      for (const arg of encoded!.args) expect(arg).toMatch(/^[\0-\x7f]*$/);
      const { stdout, stderr, status } = spawnSync(
        shell,
        [...flags, ...encoded!.args],
        {
          env: { PATH, ...variables },
          stdio: ["ignore", "pipe", "pipe"],
          maxBuffer: 1e8,
        },
      );
      expect({ status, stderr: String(stderr) })
        .toEqual({ status: 0, stderr: "" });
      expectSame(stdout, PRINTED);
    });

    test("lead to a program whose name looks like an option", () => {
      const bin = mkdtempSync(join(folder, "bin-"));
      writeFileSync(join(bin, "-prog"), '#!/bin/sh\nprintf %s "$*"\n', {
        mode: 0o755,
      });
      const env = { PATH: `${bin}:${PATH}` };
      const command = {
        argv: ["-prog", "-x"],
        env,
        stdin: "null",
        stdout: "piped",
        stderr: "stdout",
      } as const;
      const inGbk = (more: Partial<Command>) =>
        encodeCommand({
          ...command,
          consoleText: consoleText("PATH"),
          ...more,
        })!;
      // Where only the shell can say what PATH is, it looks as well.
      const hidden = inGbk({ env: { PATH: `${bin}:${PATH}:/中` } });
      for (
        const [given, said] of [
          [toProgram(command, false).args, "-x"],
          [inGbk({ argv: ["-prog", "中"] }).args, "中"],
          [hidden.args, "-x"],
          [hidden.check!.args, `${bin}/-prog\n`],
        ] as const
      ) {
        const { stdout, stderr, status } = spawnSync(
          shell,
          [...flags, ...given],
          { env, stdio: ["ignore", "pipe", "pipe"] },
        );
        expect({ status, stderr: String(stderr) })
          .toEqual({ status: 0, stderr: "" });
        expectSame(stdout, gbkBytes(said));
      }
    });
  },
);

/** Runs a command in GBK to its end; text comes back from GBK. */
async function run(command: Partial<Command>) {
  const env: Record<string, string> = { PATH, ...command.env };
  const child = await adapter.spawner({
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    consoleText: consoleText(...Object.keys(command.env ?? {})),
    ...command,
    env,
  });
  const [status, stdout, stderr] = await Promise.all([
    child.status,
    child.stdout && receive(child.stdout),
    child.stderr && textOf(child.stderr),
  ]);
  return { ...status, pid: child.pid, bytes: stdout!.bytes, stderr };
}

async function text(command: Partial<Command>): Promise<string> {
  const { bytes, code, stderr } = await run(command);
  if (command.stderr !== "stdout") expect(stderr).toBe("");
  expect(code).toBe(0);
  const reader = gbk.reader();
  return reader.write(bytes) + reader.end();
}

describe("a command of the adapter's, in GBK,", () => {
  test("gets its arguments byte for byte", async () => {
    for (const stderr of ["piped", "stdout"] as const) {
      const argv = ["printf", "%s\\0", ...WORDS];
      const { bytes, code } = await run({ argv, stderr });
      expect(code).toBe(0);
      expectSame(bytes, PRINTED);
    }
  });

  test("gets as long an argument as the system takes", async () => {
    const long = "中".repeat(65_535);
    const argv = ["printf", "%s", long];
    expectSame((await run({ argv })).bytes, gbkBytes(long));
    await expect(run({ argv: [...argv, `${long}中`] })).rejects.toMatchObject({
      code: "argument_list_too_long",
      message: 'Cannot start "printf": an argument of 131072 bytes is too long',
    });
    const many = Array<string>(60).fill(long);
    await expect(run({ argv: ["echo", ...many] })).rejects.toMatchObject({
      code: "argument_list_too_long",
    });
  });

  test("is a line for the shell", async () => {
    const line = 'x=中; printf \'%s|\' "$x文" "${x}文"; echo 误 >&2; exit 3';
    const split = await run({ line });
    expect(split).toMatchObject({ code: 3, signal: null });
    expect(split.bytes).toEqual(gbkBytes("中文|中文|"));
    const merged = await run({ line, stderr: "stdout" });
    expect(merged.bytes).toEqual(gbkBytes("中文|中文|误\n"));
  });

  test("has its own pid, exit code and signal", async () => {
    for (const stderr of ["piped", "stdout"] as const) {
      const own = await run({ line: ": 中; echo $$", stderr });
      expect(own.bytes).toEqual(gbkBytes(`${own.pid}\n`));
      const argv = ["sh", "-c", "echo $$; exit 77", "中"];
      const program = await run({ argv, stderr });
      expect(program.bytes).toEqual(gbkBytes(`${program.pid}\n`));
      expect(program).toMatchObject({ code: 77, signal: null });
      expect(await run({ line: ": 中; kill -9 $$", stderr }))
        .toMatchObject({ code: null, signal: "SIGKILL" });
    }
  });

  test("reads its own stdin, from the first byte", async () => {
    const child = await adapter.spawner({
      argv: ["sh", "-c", "cat", "中"],
      env: { PATH },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      consoleText: consoleText(),
    });
    const writer = child.stdin!.getWriter();
    await writer.write(Uint8Array.of(0, 255, 10));
    await writer.close();
    expect((await receive(child.stdout!)).bytes)
      .toEqual(Uint8Array.of(0, 255, 10));
    expect(await child.status).toEqual({ code: 0, signal: null });
  });

  test("sees the environment it is given, and no separator", async () => {
    const env = {
      "变量": "值\n\n",
      B: "中",
      C: "plain",
      "D E": "x=y",
      "a.b": "点",
      "-u": "负",
      EMPTY: "",
    };
    const given = Object.entries({ PATH, ...env })
      .map(([name, value]) => `${name}=${value}`);
    for (const argv of [["env", "-0"], ["env", "-0", "N=中"]]) {
      const seen = (await text({ argv, env })).split("\0")
        .filter((entry) => entry !== "" && !entry.startsWith("PWD="));
      expect(seen.sort()).toEqual([...given, ...argv.slice(2)].sort());
    }
    const ifs = await text({ line: 'printf %s "$IFS"; : 中; echo *' });
    expect(ifs).toMatch(/^ \t\n.*\w/);
  });

  test("keeps variables that were inherited as they are", async () => {
    const line = 'printf "%s|%s" "$OURS" "$THEIRS"';
    const { bytes } = await run({
      line,
      env: { OURS: "é", THEIRS: "中" },
      consoleText: consoleText("THEIRS"),
    });
    expect(bytes).toEqual(
      concat([new TextEncoder().encode("é|"), gbkBytes("中")]),
    );
  });

  test("runs with a PATH of its own", async () => {
    mkdirSync(join(folder, "tools"));
    const tool = join(folder, "tools", "limpet-tool");
    writeFileSync(tool, '#!/bin/sh\n/usr/bin/printf "$1-$A"\n');
    chmodSync(tool, 0o755);
    const argv = ["limpet-tool", "参"];
    // Nothing but that one program is in there, env(1) neither.
    const env = { PATH: join(folder, "tools"), A: "变" };
    expect(await text({ argv, env })).toBe("参-变");
    prepare("mkdir 工具; ln -s ../tools/limpet-tool 工具/tool");
    const path = `${folder}/工具:${PATH}`;
    expect(await text({ argv: ["tool", "参"], env: { PATH: path } }))
      .toBe("参-");
  });

  test("runs a program whose name is not ASCII", async () => {
    const bin = join(folder, "bin");
    prepare(
      "mkdir bin; cd bin; printf '#!/bin/sh\\n/usr/bin/printf \"[$1$A]\"\\n' " +
        "> 工=具; chmod 755 工=具",
    );
    const env = { PATH: `${bin}:${PATH}` };
    expect(await text({ argv: ["工=具", "甲"], env })).toBe("[甲]");
    const both = { ...env, A: "乙" };
    expect(await text({ argv: ["工=具", "甲"], env: both })).toBe("[甲乙]");
    expect(await text({ argv: [`${bin}/工=具`, "甲"] })).toBe("[甲]");
    expect(await text({ argv: ["./工=具", "甲"], cwd: bin })).toBe("[甲]");
  });

  test("runs where it is told to", async () => {
    prepare(
      "mkdir -p '目 录/sub' elsewhere/deep; ln -s elsewhere/deep 链接\n" +
        "printf '#!/bin/sh\\n/usr/bin/printf found\\n' > '目 录/sub/tool'\n" +
        "chmod 755 '目 录/sub/tool'",
    );
    const cwd = `${folder}/目 录`;
    expect(await text({ argv: ["pwd"], cwd })).toBe(`${cwd}\n`);
    expect(await text({ line: "pwd", cwd, stderr: "stdout" }))
      .toBe(`${cwd}\n`);
    const deep = `${folder}/链接`;
    expect(await text({ argv: ["/bin/pwd"], cwd: deep }))
      .toBe(`${folder}/elsewhere/deep\n`);
    expect(await text({ argv: ["/bin/pwd"], cwd: `${deep}/..` }))
      .toBe(`${folder}/elsewhere\n`);
    // An ASCII directory goes as ever, with text that is not.
    expect(
      await text({ argv: ["sh", "-c", "pwd; echo $0", "中"], cwd: "/usr" }),
    )
      .toBe("/usr\n中\n");
    const env = { CDPATH: `${folder}/elsewhere:/usr` };
    expect(await text({ argv: ["pwd"], cwd, env })).toBe(`${cwd}\n`);
    expect(await text({ argv: ["sub/tool"], cwd })).toBe("found");
  });
});

describe("a command in GBK that cannot start says why:", () => {
  const none = `${folder}/没有`;
  beforeAll(() => {
    prepare("echo 'echo never' > 文件; mkdir -p 空/closed; chmod 0 空/closed");
  });
  const cases: [string, Partial<Command>, string, string][] = [
    [
      "no working directory",
      { argv: ["ls"], cwd: none },
      "cwd_not_found",
      `working directory "${none}" does not exist`,
    ],
    [
      "a file to work in",
      { line: "ls", cwd: `${folder}/文件` },
      "cwd_not_found",
      `working directory "${folder}/文件" is not a directory`,
    ],
    [
      "an ASCII working directory",
      { argv: ["ls", "中"], cwd: `${folder}/none` },
      "cwd_not_found",
      `working directory "${folder}/none" does not exist`,
    ],
    [
      "an ASCII working directory, and no program",
      { argv: ["没有"], cwd: `${folder}/none` },
      "cwd_not_found",
      `working directory "${folder}/none" does not exist`,
    ],
    [
      "no program",
      { argv: ["limpet-none", "中"] },
      "not_found",
      "no such command in PATH",
    ],
    [
      "no program, in a directory",
      { argv: ["limpet-none"], cwd: `${folder}/空` },
      "not_found",
      "no such command in PATH",
    ],
    [
      "no program, in a PATH of its own",
      { argv: ["limpet-none"], env: { PATH: `${folder}/工具:${PATH}` } },
      "not_found",
      "no such command in PATH",
    ],
    ["no path", { argv: ["/none", "中"] }, "not_found", "no such file"],
    [
      "more than the system takes, packed",
      { argv: ["echo", ...Array(8).fill("你".repeat(40_000))] },
      "argument_list_too_long",
      "argument list too long (E2BIG); text that is no UTF-8 is passed on " +
      "packed, at up to five times its length",
    ],
    [
      "no path from a directory",
      { argv: ["./none"], cwd: `${folder}/空` },
      "not_found",
      "no such file",
    ],
    [
      "no program of a name in GBK",
      { argv: ["没有"] },
      "not_found",
      "no such command in PATH",
    ],
    ["no path in GBK", { argv: [none] }, "not_found", "no such file"],
    [
      "no permission",
      { argv: [`${folder}/文件`] },
      "not_executable",
      "permission denied: the file is not executable",
    ],
    [
      "a directory",
      { argv: [`${folder}/空`] },
      "not_executable",
      "is a directory",
    ],
  ];
  for (const stderr of ["piped", "stdout"] as const) {
    test.each(cases)(
      `%s (stderr ${stderr})`,
      async (_, command, code, reason) => {
        const title = JSON.stringify(command.line ?? command.argv?.[0]);
        await expect(run({ ...command, stderr })).rejects.toMatchObject({
          name: "LimpetError",
          code,
          message: `Cannot start ${title}: ${reason}`,
        });
      },
    );
  }

  test("a character that GBK lacks, wherever it is", async () => {
    const message = 'The character "😀" (U+1F600) cannot be written in gbk';
    const wrong: Partial<Command>[] = [
      { argv: ["echo", "中", "a😀"] },
      { argv: ["😀"] },
      { line: "echo 😀" },
      { argv: ["pwd"], cwd: "/😀" },
      { argv: ["env"], env: { A: "😀" } },
      { argv: ["env"], env: { "😀": "" } },
    ];
    for (const command of wrong) {
      const error = await run(command).then(() => null, (thrown) => thrown);
      expect(error).toBeInstanceOf(LimpetError);
      expect(error).toMatchObject({ code: "invalid_argument", message });
    }
  });

  test("every control character that words could be cut apart at", async () => {
    const all = Array.from(
      { length: 31 },
      (_, i) => String.fromCharCode(i + 1),
    );
    const argv = ["printf", "%s", `${all.join("")}中`];
    await expect(run({ argv })).rejects.toMatchObject({ code: "unsupported" });
    const ascii = await run({ argv: ["printf", "%s", all.join("")] });
    expect(ascii.bytes).toEqual(bytesOf(all.join(""), "gbk"));
  });

  // Root may enter every directory: another user is to try.
  const user = process.getuid?.() === 0
    ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    : [];
  test("a directory that nobody may enter", () => {
    const { check } = encodeCommand({
      argv: ["ls"],
      cwd: `${folder}/空/closed`,
      env: {},
      stdin: "null",
      stdout: "null",
      stderr: "null",
      consoleText: consoleText(),
    })!;
    chmodSync(folder, 0o755);
    const [file, ...args] = [...user, "/bin/sh", ...check!.args];
    expect(spawnSync(file, args, { stdio: "ignore" }).status).toBe(3);
  });

  test("many times over, without a trace", async () => {
    const wrong: Partial<Command>[] = [
      { argv: ["没有"], stdin: "piped" },
      { argv: ["ls"], cwd: none, stdin: "piped" },
      { argv: ["echo", "😀"], stdin: "piped" },
    ];
    for (const each of wrong) await run(each).catch(() => {});
    const noLeaks = checkLeaks();
    for (let i = 0; i < 10; i++) {
      for (const each of wrong) await expect(run(each)).rejects.toBeDefined();
    }
    await noLeaks();
  });
});
