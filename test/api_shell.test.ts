import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quote } from "../core/shell.ts";
import { holdTimers } from "./support/held_timers.ts";
import { eventually } from "./support/leaks.ts";
import { childrenOf } from "./support/proc.ts";
import { serverFor, useServer } from "./support/servers.ts";
import { serving } from "./support/serving.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** As servers give them. */
const JOB_ID = expect.stringMatching(/^[0-9a-z]{12}$/);

/** Strings that can be words, more of them awkward than not. */
const words = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom(..."'\"\\$`!*?[]{}()<>|&;#~= \t\n\r-%\u{1f41a}é"),
    maxLength: 20,
  }),
).filter((word) => !word.includes("\0"));

describe(`a server on ${serverFor(2)}`, () => {
  const server = useServer(serverFor(2));

  test("every value survives the shell as one word", async () => {
    await using session = await server().connect();
    await fc.assert(
      fc.asyncProperty(fc.array(words, { maxLength: 30 }), async (values) => {
        const run = session.$`printf '%s\\0' begin ${values} end`;
        const expected = ["begin", ...values, "end", ""].join("\0");
        expect(text(await run.bytes())).toBe(expected);
      }),
      { numRuns: 40 },
    );
  });

  test("a value is a word wherever it stands", async () => {
    await using session = await server().connect();
    await fc.assert(
      fc.asyncProperty(words, words, async (a, b) => {
        const run = session.$`x=${a}; printf '%s\\0' "$x" pre${b}post ${b}${a}`;
        expect(text(await run.bytes())).toBe(
          [a, `pre${b}post`, `${b}${a}`, ""].join("\0"),
        );
      }),
      { numRuns: 30 },
    );
  });
});

describe(`a server on ${serverFor(1)}`, () => {
  const server = useServer(serverFor(1));

  test("text() is stdout without its last line end", async () => {
    await using session = await server().connect();
    expect(await session.$`printf 'a\\n\\n'`.text()).toBe("a\n");
    expect(await session.$`printf 'a\\r\\n'`.text()).toBe("a");
    expect(await session.$`printf a`.text()).toBe("a");
    expect(await session.$`true`.text()).toBe("");
  });

  test("values: lists are words, numbers are numbers, the rest is refused", async () => {
    await using session = await server().connect();
    const list = ["a b", "", "c'd", 7, 8n];
    expect(await session.$`printf '<%s>' ${list}`.text()).toBe(
      "<a b><><c'd><7><8>",
    );
    expect(await session.$`printf '<%s>' x${[]}y ${-1.5}`.text()).toBe(
      "<xy><-1.5>",
    );
    for (const value of [null, undefined, {}, true, [["nested"]]]) {
      expect(() => session.$`echo ${value}`).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    }
    // What JavaScript cannot read in a template it hands over as undefined.
    expect(() => session.$`printf '\202'`).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringContaining("two backslashes"),
      }),
    );
    await expect(session.$`echo ${"a\0b"}`).rejects.toMatchObject({
      code: "invalid_argument",
    });
    expect(quote("")).toBe("''");
    expect(quote("it's")).toBe("'it'\\''s'");
  });

  test("a failure is an error with the facts of the command", async () => {
    await using session = await server().connect();
    const run = session.$`echo out; echo wrong >&2; exit 3`;
    const error = await run.text().catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: "LimpetError",
      code: "command_failed",
      exitCode: 3,
      signal: null,
      timedOut: false,
      isCanceled: false,
      complete: true,
      jobId: JOB_ID,
      message:
        'Command "echo out; echo wrong >&2; exit 3" exited with 3: wrong',
    });
    expect(text(error.stdout)).toBe("out\n");
    expect(text(error.stderr)).toBe("wrong\n");
    await expect(session.$`kill -9 $$`).rejects.toMatchObject({
      code: "command_failed",
      exitCode: null,
      signal: "SIGKILL",
    });
  });

  test("nothrow() leaves the judgement to the caller", async () => {
    await using session = await server().connect();
    const output = await session.$`echo out; exit 3`.nothrow();
    expect(output).toMatchObject({ code: 3, success: false });
    expect(await session.$`echo out; exit 3`.nothrow().text()).toBe("out");
    const lines: string[] = [];
    for await (const line of session.$`echo out; exit 3`.nothrow().lines()) {
      lines.push(line);
    }
    expect(lines).toEqual(["out"]);
  });

  test("cwd(), env(), stdin() and json()", async () => {
    await using session = await server().connect();
    expect(await session.$`pwd`.cwd("/usr").text()).toBe("/usr");
    const run = session.$`printf %s "$A$B"`.env({ A: "1", B: "2" });
    expect(await run.text()).toBe("12");
    expect(await run.env({ B: "3" }).text()).toBe("13");
    expect(await session.$`tr a-z A-Z`.stdin("shout").text()).toBe("SHOUT");
    const json = '{"a": [1, "\u00e9"]}';
    expect(await session.$`printf %s ${json}`.json()).toEqual(JSON.parse(json));
    await expect(session.$`printf '{'`.json()).rejects.toThrow(SyntaxError);
    await expect(session.$`pwd`.cwd("/nowhere")).rejects.toMatchObject({
      code: "cwd_not_found",
    });
  });

  test("too much for maxBytes() is an error of bytes() and text()", async () => {
    await using session = await server().connect();
    const run = session.$`seq 1 100000`.maxBytes(10);
    const error = await run.text().catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "limit_exceeded" });
    expect(text(error.stdout)).toBe("1\n2\n3\n4\n5\n");
    expect(await run).toMatchObject({ truncated: true, code: 0 });
  });

  test("lines() come as they are written", async () => {
    await using session = await server().connect();
    const line = session.$`echo one; echo; printf 'two\\r\\nend'; sleep 0.2`;
    const lines: string[] = [];
    for await (const each of line.lines()) lines.push(each);
    expect(lines).toEqual(["one", "", "two", "end"]);
    let count = 0;
    for await (const each of session.$`seq 1 200000`.lines()) {
      if (each !== String(++count)) throw new Error(`${count}: ${each}`);
    }
    expect(count).toBe(200_000);
    const first = session.$`echo first; sleep 100`.lines();
    expect(await first.next()).toEqual({ done: false, value: "first" });
    await first.return();
  });

  test("lines() with an input are the same lines", async () => {
    await using session = await server().connect();
    const linesOf = async (input: string) => {
      const lines: string[] = [];
      for await (const line of session.$`cat`.stdin(input).lines()) {
        lines.push(line);
      }
      return lines;
    };
    expect(await linesOf("a\nb\n")).toEqual(["a", "b"]);
    expect(await linesOf("a\nb")).toEqual(["a", "b"]);
    expect(await linesOf("")).toEqual([]);
    expect(await linesOf("\n")).toEqual([""]);
    const y = new TextEncoder().encode("y\n".repeat(10_000));
    const endless = session.$`cat`.stdin(
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(y.slice()),
      }),
    ).lines();
    expect(await endless.next()).toEqual({ done: false, value: "y" });
    await endless.return();
    await eventually(
      () => childrenOf(server().pid).length === 0,
      () => "cat has ended",
    );
  });

  test("lines() of a command that failed end in its error", async () => {
    await using session = await server().connect();
    const lines: string[] = [];
    const read = async () => {
      for await (const line of session.$`echo out; exit 4`.lines()) {
        lines.push(line);
      }
    };
    await expect(read()).rejects.toMatchObject({
      code: "command_failed",
      exitCode: 4,
      jobId: JOB_ID,
    });
    expect(lines).toEqual(["out"]);
  });
});

test("timeout() and signal() reject as such, however the output is read", async () => {
  const timeoutMs = 600_001;
  using timers = holdTimers(timeoutMs);
  await using served = await serving();
  await using session = await served.connect();
  const late = () => session.$`echo one; exec sleep 100`.timeout(timeoutMs);
  const facts = {
    code: "timed_out",
    timedOut: true,
    signal: "SIGTERM",
    jobId: JOB_ID,
  };
  let saidOne = 0;
  const inLines = async (run: ReturnType<typeof late>) => {
    const lines: string[] = [];
    const read = async () => {
      for await (const line of run.lines()) {
        lines.push(line);
        saidOne++;
      }
    };
    await expect(read()).rejects.toMatchObject(facts);
    expect(lines).toEqual(["one"]);
  };
  const all = Promise.all([
    expect(late()).rejects.toMatchObject(facts),
    expect(late().text()).rejects.toMatchObject(facts),
    expect(late().nothrow()).rejects.toMatchObject(facts),
    inLines(late()),
    inLines(late().nothrow()),
  ]);
  await eventually(
    () => timers.waiting(timeoutMs) === 5 && saidOne === 2,
    () => `${timers.waiting(timeoutMs)} run, ${saidOne} have said it`,
  );
  timers.fire(timeoutMs);
  await all;
  const run = session.$`sleep 100`.signal(AbortSignal.timeout(200));
  await expect(run).rejects.toMatchObject({
    code: "cancelled",
    isCanceled: true,
  });
});
