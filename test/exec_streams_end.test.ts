import { describe, expect, test } from "vitest";
import { chunksOf, seqBytes } from "./support/bytes.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { SERVERS, useServer } from "./support/servers.ts";

describe.each(SERVERS)("a server on %s", (runtime) => {
  const server = useServer(runtime);

  test("a reader that has enough ends the writer, as in yes | head -1", async () => {
    await using session = await server().connect();
    const child = session.spawn("yes");
    const pid = await child.pid;
    for await (const chunk of chunksOf(child.stdout)) {
      expect(new TextDecoder().decode(chunk.subarray(0, 2))).toBe("y\n");
      break;
    }
    const status = await child.status;
    expect(status).toMatchObject({ reason: null, success: false });
    // Node's socket pair may tell a writer in words what a pipe tells by signal.
    expect([null, 1]).toContain(status.code);
    expect([null, "SIGPIPE"]).toContain(status.signal);
    await untilGone([pid]);
  });

  test("a reader that has enough of stalled output ends the writer", async () => {
    await using session = await server().connect();
    const child = session.spawn("yes");
    const pid = await child.pid;
    const reader = child.stdout.getReader();
    await reader.read();
    // The window fills and nobody takes anything: the pump waits for credit.
    await session.output("sleep", { args: ["0.3"] });
    expect(isAlive(pid)).toBe(true);
    await reader.cancel();
    await child.status;
    await untilGone([pid]);
  });

  test("a channel ends when its reader has enough, whenever that is", async () => {
    await using session = await server().connect({
      limits: { maxChannels: 1 },
    });
    const silent = { stdout: "null", stderr: "null" } as const;
    // From what fits the window to what the command itself waits for. Between
    // the two it has ended, and the server still has some of its output.
    for (const last of [10, 1_000, 50_000, 60_000, 70_000, 80_000, 200_000]) {
      for (const afterExit of [false, true]) {
        const child = session.spawn("seq", {
          args: ["1", String(last)],
          stderr: "null",
        });
        await child.pid;
        if (afterExit) await Promise.race([child.status, delay(200)]);
        await child.stdout.cancel();
        await child.status;
        const hasRoom = () => {
          try {
            return session.spawn("true", silent);
          } catch (error) {
            expect(error).toMatchObject({ code: "limit_exceeded" });
            return null;
          }
        };
        let next = hasRoom();
        await eventually(
          () => (next ??= hasRoom()) !== null,
          () => `the channel of seq 1 ${last} has ended`,
        );
        await next?.status;
      }
    }
  });

  test("a drain time of 0 costs a command none of its own output", async () => {
    await using session = await server().connect();
    const expected = seqBytes(100_000);
    for (let round = 0; round < 5; round++) {
      const child = session.spawn("seq", {
        args: ["1", "100000"],
        drainMs: 0,
      });
      const slow = async function* () {
        for await (const chunk of chunksOf(child.stdout)) {
          yield chunk;
          if (round > 0) await delay(round * 5);
        }
      };
      const chunks: Uint8Array[] = [];
      for await (const chunk of slow()) chunks.push(chunk);
      expect(chunks.reduce((sum, c) => sum + c.byteLength, 0))
        .toBe(expected.byteLength);
      expect(child.heldOpen).toBe(false);
    }
    const outputs = await Promise.all(
      Array.from(
        { length: 50 },
        (_, i) => session.output("echo", { args: [String(i)], drainMs: 0 }),
      ),
    );
    expect(outputs.map(({ stdout }) => new TextDecoder().decode(stdout)))
      .toEqual(outputs.map((_, i) => `${i}\n`));
    expect(outputs.some(({ heldOpen }) => heldOpen)).toBe(false);
  });
});

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
