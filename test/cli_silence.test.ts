import { connect, createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { startLimpet } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { untilGone } from "./support/processes.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { startServer } from "./support/servers.ts";

/** A way to a server that stops passing anything on, and closes nothing. */
async function stallingProxy(address: string) {
  const { port, hostname } = new URL(address);
  const sockets: Socket[] = [];
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    sockets.push(client, server);
    for (const socket of sockets) socket.on("error", () => {});
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  const { port: own } = proxy.address() as { port: number };
  return {
    address: `tcp://127.0.0.1:${own}`,
    stall() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => proxy.close(done));
    },
  };
}

describe(`serve --keepalive --idle-timeout on ${THIS_RUNTIME}`, () => {
  test("both ends give up a way on which nothing comes any more", async () => {
    await using server = await startServer(
      THIS_RUNTIME,
      ["-v", "--keepalive=1500ms", "--grace=0"],
    );
    await using proxy = await stallingProxy(server.address);
    const exec = startLimpet([
      "exec",
      "--keepalive=1500ms",
      "--token-file",
      server.tokenFile,
      proxy.address,
      "-c",
      "echo $$; exec sleep 1000",
    ]);
    await exec.says("\n");
    const pid = Number(exec.stdout());
    expect(pid).toBeGreaterThan(1);
    proxy.stall();
    const { code, stderr } = await exec.outcome;
    expect(code).toBe(255);
    expect(stderr).toMatch(/was lost: it has been silent for \d{4,} ms/);
    expect(stderr).toContain("what became of the command is unknown");
    await untilGone([pid]);
    const told =
      /\] session of default ended: Connection to \S+ was lost: it has been silent for/;
    await eventually(() => told.test(server.log()), server.log);
  });

  test("a session that runs nothing is closed, whoever holds it", async () => {
    await using server = await startServer(
      THIS_RUNTIME,
      ["-v", "--idle-timeout=1s"],
    );
    const shell = startLimpet(
      ["shell", "--token-file", server.tokenFile, server.address],
      { input: "pipe" },
    );
    const { code, stderr } = await shell.outcome;
    expect(code).toBe(255);
    expect(stderr).toContain(
      "Session has been idle for 1000 ms, as long as the limit idleTimeoutMs",
    );
    const told =
      "] session of default ended: Session has been idle for 1000 ms";
    await eventually(() => server.log().includes(told), server.log);
  });
});
