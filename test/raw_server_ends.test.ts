import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { start, temporaryFolder } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { childrenOf } from "./support/proc.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { Plain, startRaw, stopRaw, useRaw } from "./support/raw.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const folder = temporaryFolder();
let count = 0;
const fresh = (name: string) => join(folder, `${name}${count++}`);

/** Connects, sends a line, takes a little of the answer and resets. */
const RESET = `
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(sys.argv[2].encode())
s.recv(int(sys.argv[3]))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
`;

describe(`serve --raw on ${THIS_RUNTIME}`, () => {
  const raw = useRaw();

  test("what a command leaves behind does not hold the answer, and ends with the connection", async () => {
    const server = raw();
    const client = await Plain.to(server.port);
    const file = fresh("pid");
    await client.send(`sleep 1000 & echo $! >${file}; echo on`);
    expect(await client.text(3)).toBe("on\n");
    const pid = Number(readFileSync(file, "utf8"));
    await client.send("echo next");
    expect(await client.text(5)).toBe("next\n");
    expect(isAlive(pid)).toBe(true);
    client.close();
    await untilGone([pid]);
  });

  test("a client that resets takes its command with it", async () => {
    const server = raw();
    for (const line of ["yes", "exec sleep 1000"]) {
      const file = fresh("pid");
      const command = `echo $$ >${file}; echo on; ${line}`;
      const args = ["-c", RESET, String(server.port), command, "3"];
      const { code, stderr } = await start(["python3", ...args]).outcome;
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const pid = Number(readFileSync(file, "utf8"));
      expect(pid).toBeGreaterThan(0);
      await untilGone([pid]);
      await eventually(
        () => childrenOf(server.running.pid).length === 0,
        () => `left: ${childrenOf(server.running.pid)}`,
      );
    }
    const client = await Plain.to(server.port);
    await client.send("echo fine");
    expect(await client.text(5)).toBe("fine\n");
    client.close();
  });

  test("a client that closes with an answer unread, as well", async () => {
    const server = raw();
    const script = RESET.replace(/^s.setsockopt.*$/m, "");
    const args = ["-c", script, String(server.port), "seq 1 1000; yes", "10"];
    expect((await start(["python3", ...args]).outcome).code).toBe(0);
    await eventually(
      () => childrenOf(server.running.pid).length === 0,
      () => `left: ${childrenOf(server.running.pid)}`,
    );
  });

  test("nobody takes the answer: that holds up nobody else, nor the end", async () => {
    const server = await startRaw();
    const stalled = await Plain.to(server.port);
    await stalled.send("echo $$; exec yes");
    const client = await Plain.to(server.port);
    await client.send("echo fine");
    expect(await client.text(5)).toBe("fine\n");
    await stopRaw(server);
    stalled.close();
    client.close();
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "%s ends it and what runs",
    async (signal) => {
      const server = await startRaw();
      const client = await Plain.to(server.port);
      await client.send("echo $$; exec sleep 1000");
      await eventually(
        () => childrenOf(server.running.pid).length === 1,
        () => "it runs",
      );
      const [child] = childrenOf(server.running.pid);
      server.running.kill(signal);
      expect((await server.running.outcome).code).toBe(0);
      await untilGone([parseInt(child)]);
      await client.ended;
      client.close();
    },
  );

  test("SIGTERM twice: a command that ignores it is killed at once", async () => {
    const server = await startRaw();
    const client = await Plain.to(server.port);
    await client.send("trap '' TERM; echo $$; while :; do sleep 1; done");
    const digits = (await client.text(4)).trim();
    expect(digits).toMatch(/^\d+$/);
    server.running.kill("SIGTERM");
    await server.running.complains("again to kill them");
    const [child] = childrenOf(server.running.pid);
    expect(isAlive(parseInt(child))).toBe(true);
    server.running.kill("SIGTERM");
    expect((await server.running.outcome).code).toBe(0);
    expect(isAlive(parseInt(child))).toBe(false);
    client.close();
  });
});
