import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { receive, streamOf, textOf } from "./support/bytes.ts";
import { eventually } from "./support/leaks.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { serverFor, SERVERS, useServer } from "./support/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "limpet-stdin-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const GIGABYTE = 1_000_000_000;

/** A source that makes zeros when asked, and knows what became of it. */
function zeros(limit: number) {
  const source = { made: 0, cancelled: false };
  function* chunks() {
    try {
      while (source.made < limit) {
        const chunk = new Uint8Array(Math.min(50_000, limit - source.made));
        source.made += chunk.byteLength;
        yield chunk;
      }
    } finally {
      source.cancelled = source.made < limit;
    }
  }
  return { source, stream: streamOf(chunks()) };
}

describe.each(SERVERS)("a server on %s", (runtime) => {
  const server = useServer(runtime);

  test("stdin is at its end from the start unless it is asked for", async () => {
    await using session = await server().connect();
    const { code, stdout } = await session.output("cat");
    expect(code).toBe(0);
    expect(stdout.byteLength).toBe(0);
    const read = "if read x; then echo got; else echo end; fi";
    const line = await session.output(read, { shell: true });
    expect(new TextDecoder().decode(line.stdout)).toBe("end\n");
  });

  test("an end of stdin leaves the other streams open", async () => {
    await using session = await server().connect();
    const child = session.spawn("cat >/dev/null; sleep 0.3; echo done", {
      shell: true,
      stdin: "piped",
    });
    const writer = child.stdin.getWriter();
    await writer.write(new Uint8Array(1_000_000));
    await writer.close();
    expect(await textOf(child.stdout)).toBe("done\n");
    expect(await child.status).toMatchObject({ code: 0 });
  });

  test("streams both ways at once", async () => {
    await using session = await server().connect();
    const child = session.spawn("cat", { stdin: "piped" });
    const writer = child.stdin.getWriter();
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    for (const word of ["one", "two", "three"]) {
      await writer.write(new TextEncoder().encode(word));
      let echo = "";
      while (echo.length < word.length) {
        echo += decoder.decode((await reader.read()).value);
      }
      expect(echo).toBe(word);
    }
    await writer.close();
    expect((await reader.read()).done).toBe(true);
    expect(await child.status).toMatchObject({ code: 0 });
  });

  test("a command that reads less than there is makes no error", async () => {
    await using session = await server().connect();
    const { source, stream } = zeros(GIGABYTE);
    const head = await session.output("head", {
      args: ["-c", "1"],
      stdin: stream,
    });
    expect(head).toMatchObject({ code: 0, success: true });
    expect(head.stdout).toEqual(new Uint8Array(1));
    expect(source.cancelled).toBe(true);
    expect(source.made).toBeLessThan(GIGABYTE / 100);
  });

  test("a command that closes its stdin stops the writer, and runs on", async () => {
    await using session = await server().connect();
    const child = session.spawn(
      "exec <&-; echo closed; read x < /dev/null; sleep 0.5; echo end",
      { shell: true, stdin: "piped" },
    );
    const { source, stream } = zeros(GIGABYTE);
    const piping = stream.pipeTo(child.stdin);
    await expect(piping).rejects.toMatchObject({ code: "broken_pipe" });
    expect(source.cancelled).toBe(true);
    expect(await textOf(child.stdout)).toBe("closed\nend\n");
    expect(await child.status).toMatchObject({ code: 0, reason: null });
  });

  test("writing after the command has ended is a broken pipe", async () => {
    await using session = await server().connect();
    const child = session.spawn("true", { stdin: "piped" });
    await child.status;
    const writer = child.stdin.getWriter();
    await expect(writer.write(new Uint8Array(1))).rejects.toMatchObject({
      code: "broken_pipe",
    });
    await expect(writer.closed).rejects.toMatchObject({ code: "broken_pipe" });
  });

  test("a stdin that breaks off ends the command, not its input", async () => {
    await using session = await server().connect();
    const marker = join(folder, `marker-${runtime}`);
    const copy = join(folder, `copy-${runtime}`);
    const args = ["-c", 'cat > "$1"; echo complete > "$2"', "sh", copy, marker];
    const cut = session.spawn("/bin/sh", { args, stdin: "piped" });
    const writer = cut.stdin.getWriter();
    await writer.write(new Uint8Array(10_000).fill(1));
    await eventually(
      () => existsSync(copy) && readFileSync(copy).byteLength > 0,
      () => "the command has read some",
    );
    await writer.abort(new Error("source broke"));
    expect(await cut.status).toEqual({
      code: null,
      signal: "SIGTERM",
      reason: "stdin_aborted",
      success: false,
    });
    expect(existsSync(marker)).toBe(false);
  });

  test("a stdin that breaks off while the command does not read", async () => {
    await using session = await server().connect();
    const child = session.spawn("exec sleep 60", {
      shell: true,
      stdin: "piped",
    });
    const writer = child.stdin.getWriter();
    const stuck = writer.write(new Uint8Array(1_000_000));
    stuck.catch(() => {});
    await child.pid;
    await writer.abort(new Error("source broke"));
    expect(await child.status).toMatchObject({
      signal: "SIGTERM",
      reason: "stdin_aborted",
    });
    await expect(stuck).rejects.toThrow();
  });

  test("output() tells of a source that broke", async () => {
    await using session = await server().connect();
    const reason = new Error("disk on fire");
    let count = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (++count > 3) controller.error(reason);
        else controller.enqueue(new Uint8Array(1_000));
      },
    });
    const output = session.output("cat; echo complete", {
      shell: true,
      stdin: stream,
    });
    const error = await output.catch((thrown) => thrown);
    expect(error).toMatchObject({
      code: "cancelled",
      message: expect.stringContaining("its input broke off"),
      cause: reason,
      signal: "SIGTERM",
    });
    expect(error.stdout.every((byte: number) => byte === 0)).toBe(true);
  });

  test("a source for a command that cannot start is cancelled", async () => {
    await using session = await server().connect();
    const { source, stream } = zeros(GIGABYTE);
    await expect(session.output("no-such-command-here", { stdin: stream }))
      .rejects.toMatchObject({ code: "not_found" });
    await eventually(() => source.cancelled, () => "source cancelled");
  });

  test("what is left behind holds stdin and reads none of it", async () => {
    await using session = await server().connect();
    const line = "sleep 60 <&0 >/dev/null 2>&1 & echo hi";
    const { source, stream } = zeros(GIGABYTE);
    const output = await session.output(line, {
      shell: true,
      stdin: stream,
      killAfterMs: 300,
    });
    expect(new TextDecoder().decode(output.stdout)).toBe("hi\n");
    expect(output.heldOpen).toBe(false);
    expect(source.cancelled).toBe(true);
  });
});

// Bun itself closes the pipe when the command's leader ends.
describe.each(["node", "deno"] as const)("a server on %s", (runtime) => {
  const server = useServer(runtime);

  test("what outlives the leader does not see a cut as the end either", async () => {
    await using session = await server().connect();
    const marker = join(folder, `survivor-${runtime}`);
    const line = `exec 3<&0; (trap '' TERM; echo in; cat <&3 >/dev/null; ` +
      `echo complete > ${marker}) & wait`;
    const child = session.spawn(line, {
      shell: true,
      stdin: "piped",
      killAfterMs: 300,
    });
    const reader = child.stdout.getReader();
    await reader.read();
    await child.stdin.abort(new Error("source broke"));
    expect(await child.status).toMatchObject({
      signal: "SIGTERM",
      reason: "stdin_aborted",
    });
    expect(existsSync(marker)).toBe(false);
    await reader.cancel();
  });
});

describe(`a server on ${serverFor(0)}`, () => {
  const server = useServer(serverFor(0));

  // What could hang is the core's; a runtime's own part shows sooner. Together
  // the three runs come to 1,000.
  const times = THIS_RUNTIME === "bun" ? 500 : 250;

  test(`an empty stdin never hangs, ${times} times`, async () => {
    await using session = await server().connect();
    let left = times;
    const runner = async () => {
      while (left-- > 0) {
        const how = left % 3;
        const child = session.spawn("cat", { stdin: "piped" });
        // At once, after the start, and by way of an empty stream.
        if (how === 1) await child.pid;
        if (how === 2) await streamOf([]).pipeTo(child.stdin);
        else await child.stdin.close();
        const [{ bytes, error }, status] = await Promise.all([
          receive(child.stdout),
          child.status,
        ]);
        expect(error).toBe(null);
        expect(bytes.byteLength).toBe(0);
        expect(status.code).toBe(0);
      }
    };
    await Promise.all(Array.from({ length: 8 }, runner));
  });
});
