import { describe, expect, test } from "vitest";
import {
  type Flag,
  parseArguments,
  parseCount,
  parseDuration,
} from "../core/cli/args.ts";
import { nearest } from "../core/nearest.ts";
import { findCodec } from "../core/text/mod.ts";
import { MarkerFilter, withMarker } from "../core/cli/cwd_marker.ts";
import { signalStatus, statusOfError } from "../core/cli/exit_status.ts";
import * as tables from "../core/cli/flags.ts";
import { helpText } from "../core/cli/help.ts";
import { ERROR_CODES } from "../core/errors.ts";
import type { FileContents } from "../core/machine.ts";
import {
  formatTarget,
  isLocal,
  parseAddress,
  parseTarget,
} from "../core/target.ts";
import {
  configDirectory,
  findOrMakeToken,
  findToken,
} from "../core/token_file.ts";
import { concat } from "./support/bytes.ts";

const FLAGS: readonly Flag[] = [
  { name: "stdin", short: "i", help: "" },
  { name: "quiet", short: "q", help: "" },
  { name: "workdir", short: "w", value: "DIR", help: "" },
  { name: "env", short: "e", value: "NAME=VALUE", many: true, help: "" },
  { name: "tty", short: "t", help: "", refused: "not yet" },
];

function parsed(...args: string[]) {
  const found = parseArguments(args, FLAGS);
  return {
    flags: FLAGS.filter(({ name }) => found.has(name)).map(({ name, value }) =>
      value === undefined ? name : `${name}=${found.values(name)}`
    ).join(" "),
    positionals: found.positionals,
    rest: found.rest,
  };
}

describe("parseArguments", () => {
  test.each([
    [[], "", [], null],
    [["T"], "", ["T"], null],
    [["-i", "T", "-q"], "stdin quiet", ["T"], null],
    [["-iq", "T"], "stdin quiet", ["T"], null],
    [["-iw/srv"], "stdin workdir=/srv", [], null],
    [["-iw", "/srv"], "stdin workdir=/srv", [], null],
    [["--workdir", "/srv"], "workdir=/srv", [], null],
    [["--workdir="], "workdir=", [], null],
    [["--workdir=a=b"], "workdir=a=b", [], null],
    [["--workdir=a\nb"], "workdir=a\nb", [], null],
    [["-w", "-i"], "workdir=-i", [], null],
    [["-w", ""], "workdir=", [], null],
    [["-e", "A=1", "-eB=2", "--env=C"], "env=A=1,B=2,C", [], null],
    [["T", "--"], "", ["T"], []],
    [["T", "--", "-i", "--", "x"], "", ["T"], ["-i", "--", "x"]],
    [["-", ""], "", ["-", ""], null],
    [["-i", "-i"], "stdin", [], null],
  ])("%j", (args, flags, positionals, rest) => {
    expect(parsed(...args)).toEqual({ flags, positionals, rest });
  });

  test.each([
    [["--workdir"], "--workdir needs a value: --workdir DIR"],
    [["-w"], "-w needs a value: -w DIR"],
    [["-w", "--", "x"], "-w needs a value: -w DIR"],
    [["-w", "a", "-wb"], "-w is given twice"],
    [["--stdin=yes"], '--stdin takes no value, and was given "yes"'],
    [["--stdni"], "There is no flag --stdni. Did you mean --stdin?"],
    [["--env-file=x"], "There is no flag --env-file"],
    [["-ix"], "There is no flag -x"],
    [["--" + "tyt"], "There is no flag --tyt"],
    [["-t"], "-t: not yet"],
    [["--tty"], "--tty: not yet"],
  ])("%j is refused", (args, message) => {
    expect(() => parsed(...args)).toThrow(
      expect.objectContaining({ name: "LimpetError", message }),
    );
  });
});

test("nearest offers what is at most two edits away", () => {
  const names = ["serve", "exec", "shell", "demo"];
  expect(nearest("serv", names)).toEqual(["serve"]);
  expect(nearest("xece", names)).toEqual(["exec"]);
  expect(nearest("shel", names)).toEqual(["shell"]);
  expect(nearest("exec", names)).toEqual(["exec"]);
  expect(nearest("run", names)).toEqual([]);
  expect(nearest("", names)).toEqual([]);
});

test("parseDuration", () => {
  const times = { "500ms": 500, "30s": 30_000, "2m": 120_000, "1h": 3_600_000 };
  for (const [text, ms] of Object.entries({ ...times, "1.5s": 1_500 })) {
    expect(parseDuration(text, "--timeout")).toBe(ms);
  }
  expect(parseDuration("0s", "--timeout")).toBe(0);
  expect(parseDuration("596h", "--timeout")).toBe(596 * 3_600_000);
  for (
    const bad of ["", "30", "s", "-1s", "1d", "1 s", "1e3s", "597h", "1,5s"]
  ) {
    expect(() => parseDuration(bad, "--timeout")).toThrow(
      `--timeout ${bad} is no time: write 500ms, 30s, 2m or 1h`,
    );
  }
});

test("parseCount", () => {
  expect(parseCount("1", "--n")).toBe(1);
  expect(parseCount("1000000", "--n")).toBe(1_000_000);
  for (const bad of ["", "0", "-1", "1.5", "x", "1e3", "9".repeat(20)]) {
    expect(() => parseCount(bad, "--n")).toThrow("no whole number above 0");
  }
});

describe("parseTarget", () => {
  test.each([
    ["box", "tcp://box:8090"],
    ["box:22", "tcp://box:22"],
    ["TCP://box:22", "tcp://box:22"],
    ["tcp://box", "tcp://box:8090"],
    ["127.0.0.1", "tcp://127.0.0.1:8090"],
    ["::1", "tcp://[::1]:8090"],
    ["[::1]:9", "tcp://[::1]:9"],
    ["tcp://[fe80::1%eth0]", "tcp://[fe80::1%eth0]:8090"],
    ["box:0", "tcp://box:0"],
    ["box:65535", "tcp://box:65535"],
    ["unix:/run/x.sock", "unix:/run/x.sock"],
    ["unix:///run/x.sock", "unix:/run/x.sock"],
    ["unix:x.sock", "unix:x.sock"],
    ["cmd:ssh box limpet serve --stdio", "cmd:ssh box limpet serve --stdio"],
    ["cmd:  x  ", "cmd:x"],
  ])("%s is %s", (text, formatted) => {
    const target = parseTarget(text);
    expect(formatTarget(target)).toBe(formatted);
    expect(parseTarget(formatTarget(target))).toEqual(target);
  });

  test.each([
    ["", "it names no host"],
    [":80", "it names no host"],
    ["tcp://", "it names no host"],
    ["box:", '"" is no port'],
    ["box:x", '"x" is no port'],
    ["box:65536", '"65536" is no port'],
    ["box:-1", '"-1" is no port'],
    ["me@box", "Limpet has no user names"],
    ["8090", "it looks like a port: write 127.0.0.1:8090"],
    ["tcp:box:1", "// is missing after tcp:"],
    ["a b", '"a b" is no host name'],
    ["box/path", '"box/path" is no host name'],
    ["http://box", "it has the unknown scheme http://"],
    ["unix:", "it names no path"],
    ["cmd:", "it names no command"],
    ["cmd:  ", "it names no command"],
  ])("%j is refused", (text, why) => {
    expect(() => parseTarget(text)).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringMatching(
          new RegExp(`^Address "${text}" cannot be used: .*Write host, host:`),
        ),
      }),
    );
    expect(() => parseTarget(text)).toThrow(why);
  });

  test("of tls:// are read, and nobody listens on a command", () => {
    expect(parseTarget("TLS://[::1]")).toEqual({
      kind: "tls",
      hostname: "::1",
      port: 8090,
    });
    expect(formatTarget(parseAddress("tls://box:1"))).toBe("tls://box:1");
    expect(() => parseAddress("cmd:true")).toThrow('"true" is no port');
    for (const text of ["cmd:true", "raw://127.0.0.1:1", "unix:", "a@b", ""]) {
      expect(() => parseAddress(text), text).toThrow(
        /\. Write host, host:port, tcp:.*, tls:\/\/host:port or unix:PATH$/,
      );
    }
    for (const text of ["cmd:", "raw://", "unix:", "a@b", "", "xyz://b"]) {
      expect(() => parseTarget(text), text).toThrow(
        /cmd:COMMAND LINE or raw:\/\/127\.0\.0\.1:port$/,
      );
    }
  });

  test("what only this machine can reach", () => {
    for (
      const near of [
        "127.0.0.1",
        "127.8.9.1",
        "localhost",
        "a.localhost",
        "::1",
      ]
    ) {
      expect(isLocal(parseTarget(near)), near).toBe(true);
    }
    expect(isLocal(parseTarget("unix:/x"))).toBe(true);
    expect(isLocal(parseTarget("cmd:x"))).toBe(true);
    for (
      const far of ["0.0.0.0", "[::]", "box", "127.0.0.1.nip.io", "10.0.0.1"]
    ) {
      expect(isLocal(parseTarget(far)), far).toBe(false);
    }
  });
});

describe("the marker of the directory", () => {
  const nonce = "0123456789abcdef0123456789abcdef";
  const bytes = (text: string) => new TextEncoder().encode(text);

  function filtered(chunks: Uint8Array[]) {
    const filter = new MarkerFilter(nonce, findCodec("utf-8"));
    const shown = chunks.map((chunk) => filter.push(chunk).slice());
    return {
      text: new TextDecoder().decode(concat([...shown, filter.end()])),
      directory: filter.changedTo,
    };
  }

  test.each([
    ["", `\x1e${nonce}:/tmp\x1e`, "", "/tmp"],
    ["before", `\x1e${nonce}:/ü x\x1e`, "after", "/ü x"],
    ["\x1e", `\x1e${nonce}:/\x1e`, "\x1e", "/"],
    [`\x1e${nonce.slice(0, 8)}`, `\x1e${nonce}:/a\x1e`, "", "/a"],
    [`${nonce}:/no\x1e`, "", `\x1e${nonce}`, null],
    ["never ends ", "", `\x1e${nonce}:/tmp`, null],
    ["\x1eother:/x\x1e", "", "", null],
  ])("%j %j %j, cut anywhere", (before, marker, after, directory) => {
    const first = `\x1e${nonce}:/where it began\x1e`;
    const whole = bytes(first + before + marker + after);
    const expected = { text: before + after, directory };
    expect(filtered([whole])).toEqual(expected);
    for (let i = 0; i <= whole.byteLength; i++) {
      const halves = [whole.subarray(0, i), whole.subarray(i)];
      expect(filtered(halves), `cut at ${i}`).toEqual(expected);
      for (let j = i; j <= whole.byteLength; j++) {
        const thirds = [halves[0], whole.subarray(i, j), whole.subarray(j)];
        expect(filtered(thirds), `cut at ${i} and ${j}`).toEqual(expected);
      }
    }
    const single = Array.from(whole, (byte) => Uint8Array.of(byte));
    expect(filtered(single)).toEqual(expected);
  });

  test("where it ended is told if it is not where it began", () => {
    const marker = (path: string) => `\x1e${nonce}:${path}\x1e`;
    const between = (...paths: string[]) =>
      filtered([bytes(paths.map((path) => `${marker(path)}hi`).join(""))]);
    expect(between("/a", "/b")).toEqual({ text: "hihi", directory: "/b" });
    expect(between("/a", "/a")).toEqual({ text: "hihi", directory: null });
    // Ended by a signal, or by a trap of its own.
    expect(between("/a")).toEqual({ text: "hi", directory: null });
  });

  test("however many there are in one piece", () => {
    const many = bytes(`\x1e${nonce}:/a\x1e.`.repeat(50_000));
    const { text } = filtered([many]);
    expect(text).toBe(".".repeat(50_000));
  });

  test("nothing is held back that cannot be the marker", () => {
    const filter = new MarkerFilter(nonce, findCodec("utf-8"));
    expect(filter.push(bytes("a\x1eb"))).toEqual(bytes("a\x1eb"));
    expect(filter.push(bytes("tail\x1e"))).toEqual(bytes("tail"));
    expect(filter.push(bytes("x"))).toEqual(bytes("\x1ex"));
  });

  test("the line stays a line of its own", () => {
    const lines = withMarker("echo hi # comment", nonce).split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toBe("echo hi # comment");
  });
});

test("every error has an exit status, every signal a number", () => {
  const statuses = ERROR_CODES.map((code) => statusOfError(code));
  expect([...new Set(statuses)].sort()).toEqual([125, 126, 127, 255]);
  expect(statusOfError("connection_lost")).toBe(255);
  expect(statusOfError("unauthenticated")).toBe(255);
  expect(statusOfError("cwd_not_found")).toBe(125);
  expect(signalStatus("SIGKILL")).toBe(137);
  expect(signalStatus("SIGTERM")).toBe(143);
  expect(signalStatus("SIGRTMIN")).toBe(255);
});

test("the help has every flag, and none that is refused", () => {
  for (const text of (helpText(undefined) ?? "").split("\n")) {
    expect(text.length, text).toBeLessThanOrEqual(80);
  }
  const topics = {
    serve: tables.SERVE_FLAGS,
    exec: tables.EXEC_FLAGS,
    shell: tables.SHELL_FLAGS,
    demo: tables.DEMO_FLAGS,
    lab: tables.LAB_FLAGS,
    config: tables.CONFIG_FLAGS,
    token: tables.TOKEN_FLAGS,
    key: tables.KEY_FLAGS,
  };
  for (const [topic, flags] of Object.entries(topics)) {
    const help = helpText(topic) ?? "";
    for (const { name, refused } of flags) {
      const shown = new RegExp(`^ +(-., )?--${name}\\b.*\\S`, "m").test(help);
      expect(shown, `${topic} --${name}`).toBe(refused === undefined);
    }
    for (const text of help.split("\n")) {
      expect(text.length, text).toBeLessThanOrEqual(80);
    }
  }
});

describe("the token", () => {
  const TOKEN = "0123456789abcdef0123456789abcdef";

  function place(
    env: Record<string, string>,
    files: Record<string, FileContents> = {},
    isWindows = false,
  ) {
    return {
      env: (name: string) => env[name],
      isWindows,
      files: {
        read: (path: string) => Promise.resolve(files[path] ?? null),
        createPrivate: (path: string, text: string) => {
          files[path] = { text, mode: 0o600, owner: "self" };
          return Promise.resolve(true);
        },
        openLog: () => Promise.reject(new Error("Not in this test")),
      },
    };
  }
  const file = (text: string, mode: number | null = 0o600): FileContents => ({
    text,
    mode,
    owner: mode === null ? null : "self",
  });

  test("flag before LIMPET_TOKEN_FILE before LIMPET_TOKEN before the default", async () => {
    const files = {
      "/flag": file("a token from the flag\n"),
      "/env": file("a token from the file\n"),
      "/home/me/.config/limpet/token": file("a token from home\n"),
    };
    const HOME = "/home/me";
    const LIMPET_TOKEN = "a token from the variable";
    const all = { HOME, LIMPET_TOKEN, LIMPET_TOKEN_FILE: "/env" };
    expect(await findToken(place(all, files), "/flag"))
      .toEqual({
        token: "a token from the flag",
        source: "/flag",
        made: false,
      });
    expect(await findToken(place(all, files)))
      .toEqual({ token: "a token from the file", source: "/env", made: false });
    expect(await findToken(place({ HOME, LIMPET_TOKEN }, files)))
      .toEqual({ token: LIMPET_TOKEN, source: "LIMPET_TOKEN", made: false });
    expect((await findToken(place({ HOME }, files))).token).toBe(
      "a token from home",
    );
  });

  test("a file that is named must be there: nothing else is tried", async () => {
    const env = { LIMPET_TOKEN: TOKEN, LIMPET_TOKEN_FILE: "/none" };
    await expect(findToken(place(env))).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("/none does not exist"),
    });
    await expect(findToken(place({ LIMPET_TOKEN: TOKEN }), "/none")).rejects
      .toMatchObject({ code: "invalid_argument" });
  });

  test("where its folder is", () => {
    const at = (env: Record<string, string>, windows = false) =>
      configDirectory(place(env, {}, windows));
    const HOME = "/home/me";
    expect(at({ HOME })).toBe("/home/me/.config/limpet");
    expect(at({ HOME, XDG_CONFIG_HOME: "/x" })).toBe("/x/limpet");
    expect(at({ HOME, XDG_CONFIG_HOME: "relative" }))
      .toBe("/home/me/.config/limpet");
    expect(at({ HOME, XDG_CONFIG_HOME: "/x", LIMPET_CONFIG: "/own" }))
      .toBe("/own");
    expect(at({ APPDATA: "C:\\A" }, true)).toBe("C:\\A\\limpet");
    expect(() => at({})).toThrow("neither HOME nor XDG_CONFIG_HOME is set");
  });

  test.each([0o640, 0o604, 0o620, 0o601, 0o777])(
    "a file of mode %o is refused",
    async (mode) => {
      const files = { "/t": file(TOKEN, mode) };
      for (const find of [findToken, findOrMakeToken]) {
        const error = await find(place({}, files), "/t").catch((e) => e);
        expect(error.message).toContain("can be read by others");
        expect(error.message).toContain('run "chmod 600 /t"');
        expect(error.message).not.toContain(TOKEN);
      }
    },
  );

  test("an owner who may only read it, and a system without modes", async () => {
    for (const mode of [0o400, 0o600, 0o700, null]) {
      const found = await findToken(
        place({}, { "/t": file(TOKEN, mode) }),
        "/t",
      );
      expect(found.token).toBe(TOKEN);
    }
  });

  test("one that is too short is refused, with where it is", async () => {
    const files = { "/t": file("short\n"), "/u": file("x") };
    await expect(findToken(place({}, files), "/t")).rejects.toThrow(
      "The token in /t has 5 bytes, and at least 16 are needed",
    );
    await expect(findOrMakeToken(place({}, files), "/u")).rejects
      .toThrow("The token in /u has 1 byte, and");
    await expect(findToken(place({ LIMPET_TOKEN: "short" }, files))).rejects
      .toThrow("The token in LIMPET_TOKEN has 5 bytes, and");
  });

  test("an empty file is refused, not filled", async () => {
    for (const text of ["", "\n", "  \r\n"]) {
      const files = { "/t": file(text) };
      await expect(findOrMakeToken(place({}, files), "/t")).rejects
        .toMatchObject({ message: "Token file /t is empty" });
      expect(files["/t"].text).toBe(text);
    }
  });

  test("a server makes one of 256 bits, another each time", async () => {
    const made = await Promise.all(
      [1, 2].map(() => findOrMakeToken(place({ HOME: "/h" }))),
    );
    for (const { token, source } of made) {
      expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(source).toBe("/h/.config/limpet/token");
    }
    expect(made[0].token).not.toBe(made[1].token);
    expect(made[0].made).toBe(true);
  });
});
