import { toText } from "@std/streams";
import { describe, expect, test } from "vitest";
import { connect, type Session } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { FrameType, STDOUT } from "../core/frame/frame.ts";
import { iconv } from "../core/text/iconv.ts";
import {
  decodeLines,
  decodeStream,
  decodeText,
  encodeStream,
} from "../core/text/mod.ts";
import { receive } from "./support/bytes.ts";
import { bytesOf, codecOf, ISO_2022_JP, SAMPLES } from "./support/encodings.ts";
import { oneByteReads } from "./support/faults.ts";
import { pair } from "./support/pair.ts";
import { untilGone } from "./support/processes.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { PLATFORM, type Serving, serving, TOKEN } from "./support/serving.ts";

const adapter = THIS_RUNTIME === "deno"
  ? await import("../adapters/deno/mod.ts")
  : await import("../adapters/node/mod.ts");

/** A server whose console speaks this. */
function speaking(encoding: string, encodings = true): Promise<Serving> {
  return serving({}, undefined, {
    platform: { ...PLATFORM, encoding },
    encodings: encodings ? iconv : undefined,
  });
}

/** A stream as it comes, which tells how much has come. */
function counted(stream: ReadableStream<Uint8Array>) {
  let bytes = 0;
  let more = deferred<void>();
  const counting = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      controller.enqueue(chunk);
      more.resolve();
      more = deferred();
    },
  });
  return {
    readable: stream.pipeThrough(counting),
    until: async (count: number) => {
      while (bytes < count) await more.promise;
    },
  };
}

async function linesOf(stream: ReadableStream<string>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of stream as unknown as AsyncIterable<string>) {
    lines.push(line);
  }
  return lines;
}

const MULTI_BYTE: readonly (readonly [string, Uint8Array, string])[] = [
  ...SAMPLES.map(([name, text]) => [name, bytesOf(text, name), text] as const),
  ["iso-2022-jp", ...ISO_2022_JP],
];

describe("through a real server and a real command", () => {
  test.each(MULTI_BYTE)(
    "%s comes in characters, cut at every offset",
    async (name, sample, text) => {
      await using served = await speaking("gbk");
      await using session = await served.connect({ encodings: iconv });
      const child = session.spawn("cat", { stdin: "piped", encoding: name });
      const stdout = counted(child.stdout);
      const [forText, forLines] = stdout.readable.tee();
      const whole = toText(decodeStream(forText, session.codec(name)));
      const lines = linesOf(decodeLines(forLines, session.codec(name)));
      const writer = child.stdin.getWriter();
      let sent = 0;
      const write = async (bytes: Uint8Array) => {
        if (bytes.byteLength === 0) return;
        await writer.write(bytes);
        // Only once it is back is the next piece surely a chunk of its own.
        await stdout.until(sent += bytes.byteLength);
      };
      for (let at = 0; at < sample.byteLength; at++) {
        await write(sample.slice(0, at));
        await write(sample.slice(at));
      }
      await writer.close();
      const times = sample.byteLength;
      expect(await whole).toBe(text.repeat(times));
      expect((await lines).join("\n") + "\n").toBe(text.repeat(times));
      expect((await child.status).success).toBe(true);
    },
  );

  test("50,000 × 你, one byte per read", async () => {
    await using served = await speaking("gbk");
    const session = await connect(
      async () => oneByteReads(await served.dial()),
      { token: TOKEN, encodings: iconv },
    );
    const text = "你".repeat(50_000);
    // Not as an argument: that goes through the system, which has a bound.
    expect(await session.$`cat`.stdin(text).text()).toBe(text);
    const lines = "你好\n".repeat(1_000);
    let read = "";
    for await (const line of session.$`cat`.stdin(lines).lines()) {
      read += `${line}\n`;
    }
    expect(read).toBe(lines);
    await session.close();
  });

  test("a program that writes GBK by itself", async () => {
    await using served = await speaking("gbk");
    await using session = await served.connect({ encodings: iconv });
    const convert = session.$`iconv -f utf-8 -t gbk`;
    const utf8 = new TextEncoder().encode("中文，输出\n第二行");
    expect(await convert.stdin(utf8).text()).toBe("中文，输出\n第二行");
    expect(await convert.stdin(utf8).bytes())
      .toEqual(bytesOf("中文，输出\n第二行", "gbk"));
    const { stdout } = await session.output("iconv", {
      args: ["-f", "gbk", "-t", "utf-8"],
      stdin: "中文",
    });
    expect(new TextDecoder().decode(stdout)).toBe("中文");
    expect(await session.$`echo ${'{"名":"值"}'}`.json()).toEqual({
      "名": "值",
    });
  });
});

test("one byte per frame", async () => {
  for (const [name, sample, text] of MULTI_BYTE) {
    const [clientEnd, serverEnd] = pair();
    const peer = new RawPeer(serverEnd);
    const admitted = peer.admit();
    const session = await connect(clientEnd, {
      token: TOKEN,
      encodings: iconv,
    });
    await admitted;
    const child = session.spawn("cat", { stderr: "null", encoding: name });
    const read = toText(decodeStream(child.stdout, session.codec(name)));
    await peer.expect(FrameType.OPEN);
    const on = { channel: 1, stream: STDOUT };
    await peer.write(
      jsonFrame(FrameType.STARTED, { pid: 7 }, 1),
      ...[...sample].map((byte) => ({
        ...on,
        type: FrameType.DATA,
        payload: Uint8Array.of(byte),
      })),
      jsonFrame(FrameType.END, { bytes: sample.byteLength }, 1, STDOUT),
      jsonFrame(FrameType.EXIT, { code: 0, signal: null }, 1),
    );
    expect(await read, name).toBe(text);
    expect((await child.status).code).toBe(0);
    const closing = session.close();
    await peer.rest();
    await closing;
  }
});

describe("a session with a console in GBK", () => {
  async function inGbk(test: (session: Session) => Promise<void>) {
    await using served = await speaking("gbk");
    await using session = await served.connect({ encodings: iconv });
    await test(session);
  }

  test("knows what the console speaks", async () => {
    await inGbk(async (session) => {
      await Promise.resolve();
      expect(session.platform.encoding).toBe("gbk");
      expect(session.codec().name).toBe("gbk");
      expect(session.codec("cp936").name).toBe("gbk");
      expect(session.codec("cp437").name).toBe("cp437");
      expect(() => session.codec("gkb")).toThrow(/no encoding "gkb".*gbk/);
    });
  });

  test("reads a byte-order mark, and what is no text, as it should", async () => {
    await inGbk(async (session) => {
      const text = (line: string, encoding?: string) => {
        const command = session.$([line] as unknown as TemplateStringsArray);
        return (encoding === undefined ? command : command.encoding(encoding))
          .text();
      };
      const said = (octal: string, encoding?: string) =>
        text(`printf '${octal}'`, encoding);
      expect(await said("\\357\\273\\277a\\357\\273\\277b", "utf-8"))
        .toBe("a\ufeffb");
      expect(await said("\\377\\376a\\0", "utf-16le")).toBe("a");
      expect(await said("\\376\\377\\0a", "utf-16be")).toBe("a");
      // The first half of a character at the end: one mark, and a clean end.
      expect(await said("\\304\\343\\304")).toBe("你\ufffd");
      expect(await said("\\304\\n\\304\\343")).toBe("\ufffd\n你");
      expect(await said("a\\377\\377b")).toBe("a\ufffd\ufffdb");
      expect(await said("\\360\\237\\230", "utf-8")).toBe("\ufffd");
      // And it has ended neither the session nor another command.
      expect(await said("\\304\\343")).toBe("你");
    });
  });

  test("writes text for stdin, and leaves bytes alone", async () => {
    await inGbk(async (session) => {
      const gbk = bytesOf("你好", "gbk");
      const cat = async (stdin: string | Uint8Array, encoding?: string) =>
        (await session.output("cat", { stdin, encoding })).stdout;
      expect(await cat("你好")).toEqual(gbk);
      expect(await cat(gbk)).toEqual(gbk);
      expect(await cat("😀", "utf-16le")).toEqual(bytesOf("😀", "utf-16le"));
      await expect(cat("a😀")).rejects.toMatchObject({
        code: "invalid_argument",
        message: 'The character "😀" (U+1F600) cannot be written in gbk',
      });

      const child = session.spawn("cat", { stdin: "piped" });
      const text = new ReadableStream<string>({
        start(controller) {
          for (const piece of ["你", "好\n", "", "世界"]) {
            controller.enqueue(piece);
          }
          controller.close();
        },
      });
      const [, { bytes }] = await Promise.all([
        encodeStream(text, session.codec()).pipeTo(child.stdin),
        receive(child.stdout),
      ]);
      expect(bytes).toEqual(bytesOf("你好\n世界", "gbk"));
      expect((await child.status).success).toBe(true);
    });
  });

  test("text that breaks off as it is written ends its command alone", async () => {
    await inGbk(async (session) => {
      const other = session.spawn("cat", { stdin: "piped" });
      const child = session.spawn("cat", { stdin: "piped" });
      const pid = await child.pid;
      const text = new ReadableStream<string>({
        start: (controller) => {
          controller.enqueue("你");
          controller.enqueue("😀");
        },
      });
      await expect(
        encodeStream(text, session.codec()).pipeTo(child.stdin),
      ).rejects.toMatchObject({ code: "invalid_argument" });
      expect(await child.status).toMatchObject({ reason: "stdin_aborted" });
      await untilGone([pid]);
      const writer = other.stdin.getWriter();
      await writer.write(bytesOf("好", "gbk"));
      await writer.close();
      expect((await receive(other.stdout)).bytes).toEqual(bytesOf("好", "gbk"));
    });
  });

  test("hands over arguments, lines, variables and directories", async () => {
    await inGbk(async (session) => {
      const { stdout } = await session.output("printf", {
        args: ["%s|", "中", "", "\\", "表\n"],
      });
      expect(stdout).toEqual(bytesOf("中||\\|表\n|", "gbk"));
      expect(await session.$`printf %s ${["甲", "乙 丙"]}`.text())
        .toBe("甲乙 丙");
      const folder = await session.$`mktemp -d`.text();
      const cwd = `${folder}/目录`;
      await session.$`mkdir ${cwd}`;
      expect(
        await session.$`pwd; printf %s "$A"`.cwd(cwd).env({ A: "值" }).text(),
      )
        .toBe(`${cwd}\n值`);
      await session.$`rm -r ${folder}`;
      await expect(session.$`pwd`.cwd(cwd)).rejects.toMatchObject({
        code: "cwd_not_found",
      });
      await expect(session.output("没有")).rejects.toMatchObject({
        code: "not_found",
      });
      await expect(session.output("echo", { args: ["😀"] })).rejects
        .toMatchObject({
          code: "invalid_argument",
          message: 'The character "😀" (U+1F600) cannot be written in gbk',
        });
      expect(await session.$`echo ${"还在"}`.text()).toBe("还在");
    });
  });

  test("tells what a failed command said, in its own words", async () => {
    await inGbk(async (session) => {
      await expect(session.$`echo 错误 >&2; exit 3`).rejects.toMatchObject({
        code: "command_failed",
        exitCode: 3,
        message: expect.stringContaining("exited with 3: 错误"),
      });
    });
  });

  test("keeps pid, code, signal, order and timeout exact", async () => {
    await inGbk(async (session) => {
      const child = session.spawn("echo $$; : 中; exit 77", { shell: true });
      const { bytes } = await receive(child.stdout);
      expect(decodeText(bytes)).toBe(`${await child.pid}\n`);
      expect(await child.status).toMatchObject({ code: 77, reason: null });
      const args = ["-c", "kill -TERM $$", "中"];
      expect(await session.output("sh", { args }))
        .toMatchObject({ code: null, signal: "SIGTERM" });
      const line = "i=0; while [ $i -lt 200 ]; do echo 出$i; echo 错$i >&2; " +
        "i=$((i+1)); done";
      const both = await session.output(line, { shell: true, merge: true });
      const lines = Array.from({ length: 200 }, (_, i) => `出${i}\n错${i}\n`);
      expect(decodeText(both.stdout, "gbk")).toBe(lines.join(""));
      await expect(
        session.output("sh", {
          args: ["-c", "sleep 1000", "中"],
          timeoutMs: 200,
        }),
      ).rejects.toMatchObject({ code: "timed_out", signal: "SIGTERM" });
      const slow = session.spawn("sleep 1000; : 中", { shell: true });
      const pid = await slow.pid;
      // Not SIGINT, which dash loses by itself while it starts.
      slow.kill("SIGUSR1");
      expect(await slow.status).toMatchObject({ signal: "SIGUSR1" });
      await untilGone([pid]);
    });
  });

  test("one command may speak something else", async () => {
    await inGbk(async (session) => {
      const echo = (encoding: string) =>
        session.$`echo ${"é中"}`.encoding(encoding);
      expect(await echo("utf-8").bytes()).toEqual(bytesOf("é中\n", "utf-8"));
      expect(await echo("utf-8").text()).toBe("é中");
      expect(await session.$`echo ${"語"}`.encoding("sjis").text()).toBe("語");
      // The line still reaches the shell, in what the console speaks.
      const wide = session.$`printf %s ${"中"} | iconv -f gbk -t utf-16le`;
      expect(await wide.encoding("utf-16le").text()).toBe("中");
      const postal = session.$`printf %s ${"中"} | iconv -f gbk -t iso-2022-jp`;
      expect(await postal.encoding("iso-2022-jp").text()).toBe("中");
      expect(() => session.spawn("true", { encoding: "gkb" })).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    });
  });
});

describe("where limpet/iconv is missing", () => {
  test("at the server, ASCII runs and nothing else", async () => {
    await using served = await speaking("gbk", false);
    await using session = await served.connect({ encodings: iconv });
    expect(await session.$`printf '\\304\\343'`.text()).toBe("你");
    const refused = {
      code: "unsupported",
      message: expect.stringContaining("limpet/iconv"),
    };
    await expect(session.$`echo 你`).rejects.toMatchObject(refused);
    await expect(session.output("pwd", { cwd: "/你" })).rejects
      .toMatchObject(refused);
    expect(await session.$`echo é`.encoding("utf-8").text()).toBe("é");
    expect(await session.$`echo on`.text()).toBe("on");
  });

  test("at a server whose console TextDecoder does not know either", async () => {
    await using served = await speaking("cp437", false);
    await using session = await served.connect({ encodings: iconv });
    expect(await session.$`printf '\\202'`.text()).toBe("é");
    await expect(session.$`echo é`).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("limpet/iconv"),
    });
    expect(await session.$`echo on`.text()).toBe("on");
  });

  test("at the client, bytes are there and text is not", async () => {
    await using served = await speaking("cp437");
    await using session = await served.connect();
    const command = session.$`printf '\\202'`;
    expect(await command.bytes()).toEqual(Uint8Array.of(0x82));
    const unsupported = {
      code: "unsupported",
      message: expect.stringMatching(/cp437.*limpet\/iconv/),
    };
    await expect(command.text()).rejects.toMatchObject(unsupported);
    await expect(command.lines().next()).rejects.toMatchObject(unsupported);
    await expect(session.$`cat`.stdin("é")).rejects.toMatchObject(unsupported);
    expect(await command.encoding("latin1").text()).toBe("\u201a");
    // The server knows its own encoding, whatever the client knows.
    expect(await session.$`echo ${"é"}`.bytes()).toEqual(
      Uint8Array.of(0x82, 10),
    );
    // A command that failed still says so.
    await expect(session.$`echo no >&2; false`).rejects.toMatchObject({
      code: "command_failed",
      message: expect.stringContaining("no"),
    });
    const gbk = await speaking("gbk");
    await using other = await gbk.connect();
    expect(await other.$`printf '\\304\\343'`.text()).toBe("你");
    await expect(other.$`cat`.stdin("你")).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("limpet/iconv"),
    });
    await other.close();
    await gbk.server.close();
  });

  test("a client of the core alone has TextDecoder's names and no others", async () => {
    await using served = await speaking("gbk");
    await using session = await served.connect();
    expect(session.codec("GB2312").name).toBe("gbk");
    expect(session.codec("utf8").name).toBe("utf-8");
    expect(() => session.codec("cp936")).toThrow(
      'There is no encoding "cp936". limpet/iconv knows more',
    );
    await using other = await served.connect({ encodings: iconv });
    expect(other.codec("cp936").name).toBe("gbk");
    const duplex = await served.dial();
    await using addressed = await adapter.connect(duplex, { token: TOKEN });
    expect(addressed.codec("cp936").name).toBe("gbk");
    expect(() => addressed.codec("gkb")).toThrow("Did you mean gbk?");
  });

  test("a console cannot speak what has no ASCII", async () => {
    await using served = await speaking("utf-16le");
    await using session = await served.connect({ encodings: iconv });
    await expect(session.output("echo", { args: ["é"] })).rejects
      .toMatchObject({ code: "unsupported" });
    const { stdout } = await session.output("echo", { args: ["on"] });
    expect(decodeText(stdout)).toBe("on\n");
  });
});

test.each([
  ["gbk", [0xff, 0x41], "\ufffdA"],
  ["big5", [0x87, 0x40, 0x88, 0x40], "䏰㇀"],
  ["euc-kr", [0x81, 0x41, 0x94, 0xee], "갂뷁"],
  ["big5", [0xa7, 0x41, 0xff, 0xa7, 0x20, 0xa7], "你\ufffd\ufffd \ufffd"],
])("%s is read by the standard on every runtime", (name, bytes, text) => {
  expect(decodeText(Uint8Array.from(bytes), codecOf(name))).toBe(text);
});

test("a request may name any encoding, and ends no session with it", async () => {
  await using served = await speaking("gbk");
  const peer = new RawPeer(await served.dial());
  await peer.authenticate();
  const names = ["", "constructor", "__proto__", "gkb", "😀", "x".repeat(64)];
  let channel = 1;
  for (const encoding of names) {
    const open = (argv: string[]) =>
      jsonFrame(FrameType.OPEN, {
        kind: "exec",
        argv,
        encoding,
        stdout: false,
        stderr: false,
      }, channel);
    await peer.write(open(["echo", "中"]));
    const refused = await peer.expect(FrameType.REFUSED);
    expect(JSON.parse(new TextDecoder().decode(refused.payload)))
      .toMatchObject({ code: "invalid_argument" });
    channel += 2;
    await peer.write(open(["true"]));
    await peer.expect(FrameType.STARTED);
    await peer.expect(FrameType.EXIT);
    channel += 2;
  }
  await peer.end();
  await peer.rest();
});
