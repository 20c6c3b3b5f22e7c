import process from "node:process";
import { describe, expect, test } from "vitest";
import { chunksOf, receive, seqBytes } from "./support/bytes.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { serverFor, useServer } from "./support/servers.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe(`a server on ${serverFor(2)}`, () => {
  const server = useServer(serverFor(2));

  test("waits only so long for output that is held open", async () => {
    const session = await server().connect();
    const since = performance.now();
    const output = await session.output("sleep 100 & echo $!", {
      shell: true,
      killAfterMs: 300,
    });
    const elapsed = performance.now() - since;
    expect(output).toMatchObject({
      code: 0,
      signal: null,
      reason: null,
      success: true,
      heldOpen: true,
      truncated: false,
    });
    const pid = Number(text(output.stdout));
    expect(elapsed).toBeGreaterThanOrEqual(990);
    // Not for as long as it is held.
    expect(elapsed).toBeLessThan(90_000);
    // It was started to run on, and the session is still there.
    expect(isAlive(pid)).toBe(true);
    await session.close();
    await untilGone([pid]);
  });

  test("tells the exit at once, whoever holds the output", async () => {
    await using session = await server().connect();
    const child = session.spawn("sleep 1000 & echo $!", {
      shell: true,
      drainMs: 1_000_000,
    });
    expect(await child.status).toMatchObject({ code: 0 });
    // Told with the end of the output, it would not have been told yet.
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    process.kill(Number(text(value!)));
    expect((await reader.read()).done).toBe(true);
    expect((await receive(child.stderr)).error).toBe(null);
    expect(child.heldOpen).toBe(false);
  });

  test("does not say so of output that nobody holds", async () => {
    await using session = await server().connect();
    const line = "sleep 100 >/dev/null 2>&1 & echo hi";
    // Whoever waited all that time would say that it is held.
    const output = await session.output(line, {
      shell: true,
      drainMs: 100_000,
      killAfterMs: 300,
    });
    expect(output).toMatchObject({ code: 0, heldOpen: false });
    // Held for a while, and let go in time: all of it counts.
    const late = await session.output("(sleep 0.3; echo late) & echo early", {
      shell: true,
      drainMs: 100_000,
    });
    expect(late).toMatchObject({ code: 0, heldOpen: false });
    expect(text(late.stdout)).toBe("early\nlate\n");
  });

  test("gives up output that never falls silent", async () => {
    await using session = await server().connect();
    const child = session.spawn("yes & echo $!", {
      shell: true,
      drainMs: 200,
      killAfterMs: 300,
    });
    const { bytes, error } = await receive(child.stdout);
    expect(error).toBe(null);
    // Whichever of the two wrote first.
    const pid = text(bytes.filter((byte) => byte !== 121 && byte !== 10));
    expect(pid).toMatch(/^\d+$/);
    expect(await child.status).toMatchObject({ code: 0 });
    expect(child.heldOpen).toBe(true);
    // Its pipe is closed: the next write was its last.
    await untilGone([Number(pid)]);
  });

  test("gives up output that drips", async () => {
    await using session = await server().connect();
    const output = await session.output(
      "(while sleep 0.01; do echo drip; done) & echo hi",
      { shell: true, drainMs: 200, killAfterMs: 300 },
    );
    expect(output).toMatchObject({ code: 0, heldOpen: true });
    expect(text(output.stdout)).toMatch(/^(drip\n)*hi\n(drip\n)*$/);
  });

  test("a slow reader of held output loses nothing of the command's", async () => {
    await using session = await server().connect();
    const expected = seqBytes(100_000);
    const child = session.spawn("seq 1 100000; sleep 100 &", {
      shell: true,
      drainMs: 100,
      killAfterMs: 300,
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf(child.stdout)) {
      chunks.push(chunk);
      // Longer than the drain time in all, and more than one window at once.
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    const bytes = new Uint8Array(
      await new Blob(chunks as BlobPart[])
        .arrayBuffer(),
    );
    expect(bytes.byteLength).toBe(expected.byteLength);
    expect(text(bytes)).toBe(text(expected));
    expect(child.heldOpen).toBe(true);
    expect(await child.status).toMatchObject({ code: 0 });
  });

  test("ends with its session while its output is still held", async () => {
    const session = await server().connect();
    const child = session.spawn("sleep 100 & echo $!", {
      shell: true,
      drainMs: 20_000,
      killAfterMs: 300,
    });
    const { value } = await child.stdout.getReader().read();
    await child.status;
    await session.close();
    await untilGone([Number(text(value ?? new Uint8Array(0)))]);
  });
});
