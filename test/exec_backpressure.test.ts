import { describe, expect, test } from "vitest";
import { eventually } from "./support/leaks.ts";
import { withFaults } from "./support/faults.ts";
import { heldBytes } from "./support/memory.ts";
import { isAlive, residentBytes, untilGone } from "./support/processes.ts";
import { SERVERS, useServer } from "./support/servers.ts";

const WINDOW = 262_144;
const MIB = 1_048_576;

/** A command that nothing holds back writes gigabytes in that time. */
const STALL_MS = 1_000;

/** What comes in through a socket, counted. */
function counted() {
  const count = { received: 0 };
  return {
    count,
    wrap: (duplex: Parameters<typeof withFaults>[0]) =>
      withFaults(duplex, {
        async *reads(chunks) {
          for await (const chunk of chunks) {
            count.received += chunk.byteLength;
            yield chunk;
          }
        },
      }),
  };
}

describe.each(SERVERS)("a server on %s", (runtime) => {
  const server = useServer(runtime);

  test("a reader that stops costs one window and delays nobody", async () => {
    const { count, wrap } = counted();
    await using session = await server().connect({ wrap });
    const twenty = async () => {
      const outputs = await Promise.all(
        Array.from(
          { length: 20 },
          (_, i) => session.output("echo", { args: [String(i)] }),
        ),
      );
      expect(outputs.map(({ stdout }) => new TextDecoder().decode(stdout)))
        .toEqual(outputs.map((_, i) => `${i}\n`));
    };
    await twenty();
    await twenty();
    const serverBefore = residentBytes(server().pid);
    const clientBefore = await heldBytes();
    const receivedBefore = count.received;

    const child = session.spawn("yes");
    const pid = await child.pid;
    await eventually(
      () => count.received - receivedBefore >= WINDOW,
      () => `${count.received - receivedBefore} bytes are here`,
    );
    await new Promise((resolve) => setTimeout(resolve, STALL_MS));
    // Held up by the reader that stands still, they would never come.
    await twenty();

    expect(count.received - receivedBefore).toBeLessThan(WINDOW + 100_000);
    expect(await heldBytes() - clientBefore).toBeLessThan(WINDOW + 2 * MIB);
    // A window on its way, a pipe, and what twenty processes at once cost.
    expect(residentBytes(server().pid) - serverBefore).toBeLessThan(128 * MIB);

    const reader = child.stdout.getReader();
    let bytes = 0;
    while (bytes < 5 * MIB) {
      const { value } = await reader.read();
      const wrong = value?.findIndex((byte, i) =>
        byte !== ((bytes + i) % 2 === 0 ? 121 : 10)
      );
      expect(wrong).toBe(-1);
      bytes += value?.byteLength ?? 0;
    }
    await reader.cancel();
    await child.status;
    await untilGone([pid]);
  });

  test("the window holds for a stream of small pieces too", async () => {
    const { count, wrap } = counted();
    await using session = await server().connect({
      wrap,
      limits: { windowBytes: 4_096 },
    });
    const line = "i=0; while :; do echo line $i; i=$((i+1)); done";
    const child = session.spawn(line, { shell: true });
    await eventually(() => count.received > 4_096, () => `${count.received}`);
    await session.output("sleep", { args: ["0.3"] });
    expect(count.received).toBeLessThan(4_096 * 4);
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (text.length < 100_000) {
      text += decoder.decode((await reader.read()).value, { stream: true });
    }
    const lines = text.split("\n").slice(0, -1);
    expect(lines).toEqual(lines.map((_, i) => `line ${i}`));
    await reader.cancel();
    await child.status;
  });

  test("a command that does not read holds its writer, and nobody else", async () => {
    await using session = await server().connect();
    const child = session.spawn("sleep", { args: ["100"], stdin: "piped" });
    const pid = await child.pid;
    const before = residentBytes(server().pid);
    const writer = child.stdin.getWriter();
    let taken = 0;
    const feeding = (async () => {
      for (;;) {
        await writer.write(new Uint8Array(65_536));
        taken += 65_536;
      }
    })();
    feeding.catch(() => {});
    await eventually(() => taken >= WINDOW, () => `${taken} bytes are taken`);
    await session.output("sleep", { args: ["0.5"] });
    const echo = await session.output("cat", { stdin: "beside it" });
    expect(new TextDecoder().decode(echo.stdout)).toBe("beside it");
    // The window, which may grow once, as long as the pipe (or the socket pair of
    // Node and Bun) takes all that comes; what that holds, and a chunk under way.
    expect(taken).toBeLessThan(4 * WINDOW + 512 * 1024);
    expect(residentBytes(server().pid) - before).toBeLessThan(128 * MIB);
    expect(isAlive(pid)).toBe(true);
    child.terminate();
    expect(await child.status).toMatchObject({ reason: "cancelled" });
    await expect(feeding).rejects.toMatchObject({ code: "broken_pipe" });
  });
});
