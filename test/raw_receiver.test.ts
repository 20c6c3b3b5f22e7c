import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LimpetError } from "../core/errors.ts";
import { Receiver } from "../core/raw/receiver.ts";
import { mayBecomeRequest, strangerIn } from "../core/raw/stranger.ts";
import { CLIENT_PREFACE, SERVER_PREFACE } from "../core/frame/preface.ts";
import { concat, streamOf } from "./support/bytes.ts";
import { eventually } from "./support/leaks.ts";

const bytesOf = (text: string) =>
  Uint8Array.from(text, (char) => char.charCodeAt(0));

/** A stream that a test feeds piece by piece. */
function fed() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const stream = new ReadableStream<Uint8Array>({
    start: (given) => void (controller = given),
  });
  return { receiver: new Receiver(stream), controller };
}

test("whatever the chunks and sizes: all bytes, in order, never too many", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      async (chunks, sizes) => {
        const receiver = new Receiver(streamOf(chunks));
        const got: Uint8Array[] = [];
        for (let i = 0;; i++) {
          const size = sizes[i % sizes.length];
          const bytes = await receiver.recv(size);
          if (bytes === null) break;
          expect(bytes.byteLength).toBeGreaterThan(0);
          expect(bytes.byteLength).toBeLessThanOrEqual(size);
          got.push(bytes);
        }
        expect(concat(got)).toEqual(concat(chunks));
        expect(await receiver.recv(1)).toBeNull();
        expect(await receiver.ended).toBeNull();
      },
    ),
    { numRuns: 300 },
  );
});

test("what came in pieces while nobody took it is one", async () => {
  const { receiver, controller } = fed();
  controller.enqueue(bytesOf("ls"));
  controller.enqueue(bytesOf("pwd"));
  await eventually(() => receiver.available === 5, () => "both are there");
  expect(await receiver.recv(4)).toEqual(bytesOf("lspw"));
  expect(await receiver.recv(4)).toEqual(bytesOf("d"));
});

test("a wait that is given up loses nothing", async () => {
  const { receiver, controller } = fed();
  const stop = new AbortController();
  const waiting = receiver.recv(10, stop.signal);
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(receiver.recv(10, stop.signal)).rejects.toThrow("enough");
  controller.enqueue(bytesOf("late"));
  expect(await receiver.recv(10)).toEqual(bytesOf("late"));
});

test("what came before the connection broke can be had, then the reason", async () => {
  const { receiver, controller } = fed();
  const lost = new LimpetError("connection_lost", "Gone");
  controller.enqueue(bytesOf("last"));
  await eventually(() => receiver.available === 4, () => "they are there");
  controller.error(lost);
  expect(await receiver.ended).toBe(lost);
  expect(await receiver.recv(3)).toEqual(bytesOf("las"));
  expect(await receiver.recv(3)).toEqual(bytesOf("t"));
  await expect(receiver.recv(3)).rejects.toBe(lost);
});

test("it reads ahead so far and no further", async () => {
  let given = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      given++;
      controller.enqueue(new Uint8Array(10_000));
    },
  }, { highWaterMark: 0 });
  const receiver = new Receiver(endless);
  await eventually(() => receiver.available >= 65_536, () => "it reads");
  expect(receiver.available).toBe(70_000);
  expect(given).toBe(7);
  for (let taken = 0; taken < 50; taken++) await receiver.recv(1_000);
  await eventually(() => receiver.available >= 65_536, () => "it reads on");
  expect(receiver.available).toBeLessThan(80_000);
  receiver.cancel();
  expect(await receiver.ended).toBeNull();
});

const LONG = "/".padEnd(1_023 - "touch".length, "a");

test.each([
  ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "an HTTP request"],
  ["POST /$(touch${IFS}x) HTTP/1.1\r\n", "an HTTP request"],
  ["touch /x HTTP/1.1\r\nHost: x\r\n", "an HTTP request"],
  ["a&&id /;id HTTP/2\r\n", "an HTTP request"],
  [`touch ${LONG}`, "an HTTP request"],
  [`touch ${LONG}aaaa HTTP/1.1`, "an HTTP request"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "an HTTP request"],
  ["HTTP/1.1 200 OK\r\n", "an HTTP response"],
  ["SSH-2.0-OpenSSH_9.6\r\n", "an ssh banner"],
  ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a TLS handshake"],
  [String.fromCharCode(...CLIENT_PREFACE, 0, 1, 2), "Limpet's frames"],
  [String.fromCharCode(...SERVER_PREFACE), "Limpet's frames"],
  [String.fromCharCode(...CLIENT_PREFACE.subarray(0, 5)), "Limpet's frames"],
])("%j is no command", (first, name) => {
  expect(strangerIn(bytesOf(first))).toBe(name);
});

test.each([
  "ls",
  "ls /tmp",
  "cat /etc/passwd | head -1",
  "curl -s http://127.0.0.1/",
  "printf 'GET / HTTP/1.0\\r\\n\\r\\n'",
  "get",
  "echo GET / HTTP/1.1",
  "\xc4\xe3\xba\xc3",
  "\xaf",
  `echo ${"a ".repeat(600)}`,
  `touch ${LONG.slice(1)}`,
])("%j may be one", (first) => {
  expect(strangerIn(bytesOf(first))).toBeNull();
});

describe("a browser's request", () => {
  const METHODS = [
    ...["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"],
    ...["TRACE", "x", "touch", "get", "`id`", "a&b|c", "M-SEARCH"],
    ...[1_000, 1_016, 1_017, 1_018, 1_023, 1_024, 1_025, 2_000]
      .map((length) => "m".repeat(length)),
  ];
  const HEADERS = "Host: evil\r\nAccept: */*\r\n\r\n";

  /** With so many bytes before ` HTTP/1.1`, or as few as there can be. */
  const requestOf = (method: string, length: number) =>
    `${`${method} /;id;`.padEnd(length, "a")} HTTP/1.1\r\n${HEADERS}`;

  test("of every length is none, whatever its method", () => {
    const taken = METHODS.flatMap((method) => {
      const lengths = Array.from({ length: 31 }, (_, i) => 1_000 + i);
      return lengths.filter((length) => {
        const request = bytesOf(requestOf(method, length));
        return strangerIn(request.subarray(0, 1_024)) !== "an HTTP request";
      }).map((length) => `${method.slice(0, 20)}, ${length} bytes`);
    });
    expect(taken).toEqual([]);
  });

  test("is never taken for a command, wherever it is cut", () => {
    const taken: string[] = [];
    for (const method of METHODS) {
      for (const length of [0, 1_014, 1_018, 1_024, 1_100]) {
        const bytes = bytesOf(requestOf(method, length)).subarray(0, 1_024);
        for (let cut = 1; cut <= bytes.byteLength; cut++) {
          // In the middle of a long word one place is like another.
          if (cut > 30 && cut < 990 && cut % 97 > 0) continue;
          const first = bytes.subarray(0, cut);
          if (strangerIn(first) !== null || mayBecomeRequest(first)) continue;
          taken.push(`${method.slice(0, 20)}, ${length} bytes, cut at ${cut}`);
        }
      }
    }
    expect(taken).toEqual([]);
  });

  test.each(["*", "http://evil/;id", "https://evil/;id"])(
    "with the target %s, as well",
    (target) => {
      const bytes = bytesOf(`x ${target} HTTP/1.1\r\n`);
      for (let cut = 1; cut < bytes.byteLength; cut++) {
        const first = bytes.subarray(0, cut);
        const isSafe = strangerIn(first) !== null || mayBecomeRequest(first);
        expect(isSafe, `cut at ${cut}`).toBe(true);
      }
    },
  );

  test.each([
    ["ls", true],
    ["ls /tmp", true],
    ["ls /tmp H", true],
    ["ls /tmp/a b", false],
    ["ls /tmp -l", false],
    ["ls -l", false],
    ["ls /tmp\n", false],
    ["ls\r\n", false],
    ["echo a b", false],
    [" ls /tmp", false],
    ["", false],
  ])("%j may become one: %s", (first, may) => {
    expect(mayBecomeRequest(bytesOf(first))).toBe(may);
    expect(strangerIn(bytesOf(first))).toBeNull();
  });
});
