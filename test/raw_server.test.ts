import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { CLIENT_PREFACE } from "../core/frame/preface.ts";
import { LimpetError } from "../core/errors.ts";
import type { RawServeOptions, RawServerEvent } from "../core/raw/options.ts";
import { RawServer } from "../core/raw/server.ts";
import { adapter } from "./support/adapter.ts";
import { seqBytes } from "./support/bytes.ts";
import {
  expectOwnWords,
  limpet,
  start,
  temporaryFolder,
} from "./support/cli.ts";
import { checkLeaks, eventually, type LeakCheck } from "./support/leaks.ts";
import { childrenOf } from "./support/proc.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { Plain, startRaw, stopRaw, useRaw } from "./support/raw.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const SEQ = seqBytes(300_000);

function expectSame(bytes: Uint8Array, expected: Uint8Array): void {
  expect(bytes.byteLength).toBe(expected.byteLength);
  expect(bytes.every((byte, i) => byte === expected[i])).toBe(true);
}

const folder = temporaryFolder();
let count = 0;
const fresh = (name: string) => join(folder, `${name}${count++}`);

/** A line that waits for the file to be there. */
const waitFor = (file: string) => `until [ -e ${file} ]; do sleep 0.05; done`;

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

  test("stdout, then stderr, command after command", async () => {
    const server = raw();
    const client = await Plain.to(server.port);
    await client.send("echo err >&2; echo out");
    expect(await client.text(8)).toBe("out\nerr\n");
    await client.send("seq 1 300000");
    expectSame(await client.take(SEQ.byteLength), SEQ);
    await client.send("cat; echo end; exit 7");
    expect(await client.text(4)).toBe("end\n");
    client.close();
  });

  test("it says what it is, and how it is reached", async () => {
    const server = await startRaw();
    const stderr = await stopRaw(server);
    expect(stderr).toContain("limpet: no authentication: every program");
    expect(stderr).toContain("a teaching aid\n");
    expect(stderr).toContain(`clients write ${server.address}\n`);
  });

  test("several clients at once", async () => {
    const server = raw();
    const gate = fresh("gate");
    const first = await Plain.to(server.port);
    const second = await Plain.to(server.port);
    await first.send(`${waitFor(gate)}; echo first`);
    await second.send("echo second");
    expect(await second.text(7)).toBe("second\n");
    await second.send(`touch ${gate}; echo open`);
    expect(await second.text(5)).toBe("open\n");
    expect(await first.text(6)).toBe("first\n");
    first.close();
    second.close();
  });

  test("what is sent while a command runs is one command: glued", async () => {
    const server = raw();
    const gate = fresh("gate");
    const client = await Plain.to(server.port);
    await client.send(`echo on; ${waitFor(gate)}`);
    expect(await client.text(3)).toBe("on\n");
    await client.send("echo a");
    await client.send("echo b");
    // A connection of its own: both were there before its answer.
    const other = await Plain.to(server.port);
    await other.send(`touch ${gate}; echo open`);
    expect(await other.text(5)).toBe("open\n");
    expect(await client.text(8)).toBe("aecho b\n");
    client.close();
    other.close();
  });

  test("a line of over 1024 bytes is two, a cut character is none", async () => {
    const server = raw();
    const client = await Plain.to(server.port);
    // 1023 bytes and the first of three; then the other two, and what follows.
    const line = `echo ${"x".repeat(1_018)}你; echo second`;
    await client.send(line);
    const x = "x".repeat(1_018);
    expect(await client.text(1_018 + 4)).toBe(`${x}\ufffd\n`);
    expect(await client.text(7)).toBe("second\n");
    expect(await client.text(10)).toMatch(/^\S*sh/);
    client.close();
  });

  test("commands get nothing of LIMPET_*, and no stdin", async () => {
    const server = await startRaw([], {
      env: { LIMPET_TOKEN: "0123456789abcdef", OTHER: "1" },
    });
    const client = await Plain.to(server.port);
    await client.send("cat; env | grep -c LIMPET; env | grep OTHER");
    expect(await client.text(10)).toBe("0\nOTHER=1\n");
    client.close();
    await stopRaw(server);
  });

  test("lines are in the encoding that it is told, which it says", async () => {
    const server = await startRaw(["--encoding=gbk"]);
    expect(server.running.stderr()).toContain(" for plain lines in gbk; ");
    const client = await Plain.to(server.port);
    const you = Uint8Array.of(0xc4, 0xe3);
    const echo = new TextEncoder().encode("printf ");
    await client.send(Uint8Array.of(...echo, ...you));
    expect(await client.take(2)).toEqual(you);
    client.close();
    await stopRaw(server);
  });

  test("a command that cannot start is answered with the reason", async () => {
    const server = raw();
    const client = await Plain.to(server.port);
    await client.send("echo a\0b");
    expect(await client.text(12)).toBe("Cannot start");
    await client.end();
    await client.rest();
    const again = await Plain.to(server.port);
    await again.send("echo fine");
    expect(await again.text(5)).toBe("fine\n");
    again.close();
    client.close();
  });

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

  test("a client that only listens gets its answer", async () => {
    const server = raw();
    const client = await Plain.to(server.port);
    await client.send("sleep 0.1; echo late; echo err >&2");
    await client.end();
    expect(await client.rest()).toBe("late\nerr\n");
    client.close();
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

  const proof = fresh("proof");
  test.each([
    ["an HTTP request", `GET /$(touch\${IFS}${proof}) HTTP/1.1\r\n\r\n`],
    ["an HTTP request", `touch ${proof} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ["an HTTP request", `touch ${proof}${"/a".repeat(40_000)} HTTP/1.1\r\n`],
    [
      "an HTTP request",
      `${
        `x /;touch\${IFS}${proof};`.padEnd(1_018, "a")
      } HTTP/1.1\r\nHost: x\r\n`,
    ],
    ["an HTTP request", `touch\`touch\${IFS}${proof}\`&${"a".repeat(2_000)} /`],
    ["a TLS handshake", `\x16\x03\x01\n touch ${proof}\n`],
    ["an ssh banner", `SSH-2.0-x; touch ${proof}\r\n`],
  ])("%s is not run: %.20s", async (name, request) => {
    const server = raw();
    const before = server.running.stderr().length;
    const client = await Plain.to(server.port);
    // It may be refused before all of it is sent.
    client.send(request).catch(() => {});
    await client.ended;
    const said = `was turned away, nothing was run: it sent ${name}`;
    const log = () => server.running.stderr().slice(before);
    await eventually(() => log().includes(said), () => `${said} in ${log()}`);
    expect(existsSync(proof)).toBe(false);
    client.close();
  });

  test("frames are not run, and that client is told", async () => {
    const server = raw();
    const before = server.running.stderr().length;
    const client = await Plain.to(server.port);
    await client.send(CLIENT_PREFACE);
    const answer = await client.rest();
    expect(answer).toContain("use raw://, not tcp://");
    expect(answer).toContain("this was Limpet's frames. Nothing was run");
    client.close();
    const outcome = await limpet(
      ["exec", `tcp://127.0.0.1:${server.port}`, "-c", "echo ran"],
      { env: { LIMPET_TOKEN: "0123456789abcdef" } },
    );
    expect(outcome).toMatchObject({ code: 255, stdout: "" });
    expect(outcome.stderr).toContain("use raw://, not tcp:");
    expectOwnWords(outcome.stderr);
    const told = () =>
      server.running.stderr().slice(before)
        .match(/it sent Limpet's frames: that client is to/g)?.length;
    await eventually(() => told() === 2, server.running.stderr);
  });

  test("a port that is taken", async () => {
    const server = raw();
    const address = `tcp://127.0.0.1:${server.port}`;
    const args = ["serve", "--raw", "--insecure", address];
    const { code, stdout, stderr } = await limpet(args);
    expect({ code, stdout }).toEqual({ code: 255, stdout: "" });
    expect(stderr).toContain(`Cannot listen on ${address}: address already`);
    expect(stderr).toContain("choose another port");
  });

  test("-v says what happens", async () => {
    const server = await startRaw(["-v"]);
    const client = await Plain.to(server.port);
    await client.send("echo a; exit 3");
    expect(await client.text(2)).toBe("a\n");
    await client.end();
    await client.rest();
    const log = await stopRaw(server);
    expect(log).toMatch(/\[1\] command started, process \d+: "echo a; exit 3"/);
    expect(log).toContain("[1] command ended with code 3\n");
    expect(log).toContain("[1] ended: the client has left\n");
    client.close();
  });
});

describe("first bytes that may be a request or a command", () => {
  /** A connection that a test cuts as it likes, and what became of it. */
  function connection(doubtMs: number) {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const input = pipe.writable.getWriter();
    const lines: string[] = [];
    const turnedAway: string[] = [];
    const server = new RawServer({
      spawner: (command) => {
        lines.push(command.line ?? "");
        throw new LimpetError("spawn_failed", "Only the line is looked at");
      },
      environment: () => ({}),
      doubtMs,
      onEvent: (event) => {
        if (event.type === "turned_away") turnedAway.push(event.sent);
      },
    });
    const over = server.accept({
      readable: pipe.readable,
      writable: new WritableStream(),
      peer: "test",
    });
    // In memory there is nothing to wait for: after a turn of the event loop the
    // server has done with it what it does.
    const send = async (text: string) => {
      await input.write(new TextEncoder().encode(text));
      await new Promise((resolve) => setTimeout(resolve));
    };
    return { send, input, over, lines, turnedAway, server };
  }

  test.each([
    [["x", " /;touch${IFS}a HTTP/1.1\r\n"]],
    [["x /;touch${IFS}a", " HTTP/1.1\r\n"]],
    [["GE", "T /;id HTTP/1.1\r\n"]],
    [[..."x /;id HTTP/1.1"]],
    [["x /;id HT", `TP/1.1\r\nHost: x`]],
    [["x /;id;", "a".repeat(1_016), "a", " HTTP/1.1"]],
    [["m".repeat(512), "m".repeat(512), "m"]],
  ])("a request that was cut is not run: %j", async (cut) => {
    const { send, input, over, lines, turnedAway } = connection(60_000);
    for (const part of cut) await send(part).catch(() => {});
    await input.close().catch(() => {});
    await over;
    expect({ lines, turnedAway }).toEqual({
      lines: [],
      turnedAway: ["an HTTP request"],
    });
  });

  test("a command that nothing follows is run", async () => {
    const { send, input, over, lines } = connection(10);
    await send("ls /tmp");
    await eventually(() => lines.length === 1, () => "it is run");
    await send("pwd");
    await input.close();
    await over;
    expect(lines).toEqual(["ls /tmp", "pwd"]);
  });

  test("what tells that it is a command is the next one", async () => {
    const { send, input, over, lines } = connection(60_000);
    await send("ls");
    await send("pwd -P");
    await input.close();
    await over;
    expect(lines).toEqual(["ls", "pwd -P"]);
  });

  test("nobody waits for more than there can be", async () => {
    for (const line of ["ls", "ls -l", "ls /tmp\n", "echo a b"]) {
      const { send, input, over, lines } = connection(60_000);
      await send(line);
      if (line !== "ls") {
        await eventually(() => lines.length === 1, () => line);
      }
      await input.close();
      await over;
      expect(lines).toEqual([line]);
    }
  });

  test("a server that closes runs nothing of it", async () => {
    const { send, over, lines, server } = connection(60_000);
    await send("ls");
    await server.close();
    await over;
    expect(lines).toEqual([]);
  });

  test("a client that has gone has nothing run", async () => {
    const { send, input, over, lines } = connection(60_000);
    await send("ls");
    await input.abort(new Error("reset"));
    await over;
    expect(lines).toEqual([]);
  });
});

describe("RawServer", () => {
  const servers: RawServer[] = [];
  let noLeaks: LeakCheck = () => Promise.resolve();
  // Bun opens descriptors of its own for the first socket and process.
  beforeAll(async () => {
    const { server, client } = await serve({});
    await client.send("echo on");
    expect(await client.text(3)).toBe("on\n");
    client.close();
    await server.close();
    noLeaks = checkLeaks();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close(0);
    await noLeaks();
  });

  async function serve(
    bounds: Pick<
      RawServeOptions,
      "maxStderrBytes" | "silenceMs" | "maxConnections"
    >,
  ) {
    const events: RawServerEvent[] = [];
    const server = new RawServer({
      spawner: adapter.spawner,
      environment: () => ({ PATH: "/usr/bin:/bin" }),
      onEvent: (event) => void events.push(event),
      ...bounds,
    });
    servers.push(server);
    const listener = await adapter.listen({
      kind: "tcp",
      hostname: "127.0.0.1",
      port: 0,
    });
    server.listen(listener);
    const port = Number(listener.address.split(":").at(-1));
    const client = await Plain.to(port);
    const ended = () =>
      events.find((event) => event.type === "command_ended")?.status;
    return { server, client, events, ended, port };
  }

  test("stderr over the bound ends the command, which is said", async () => {
    const { client, ended } = await serve({ maxStderrBytes: 10_000 });
    await client.send("echo out; yes >&2");
    const note = "limpet: ended, because it wrote too much stderr\n";
    const answer = await client.text(4 + 10_000 + note.length);
    expect(answer).toBe(`out\n${"y\n".repeat(5_000)}${note}`);
    expect(ended()).toMatchObject({ success: false, reason: "limit_exceeded" });
    await client.send("echo next");
    expect(await client.text(5)).toBe("next\n");
    client.close();
  });

  test("as many connections as there may be, and one more", async () => {
    const { server, client, events, port } = await serve({ maxConnections: 2 });
    await client.send("echo 1");
    expect(await client.text(2)).toBe("1\n");
    const second = await Plain.to(port);
    await second.send("echo 2");
    expect(await second.text(2)).toBe("2\n");

    const third = await Plain.to(port);
    // It may be closed before that is sent.
    third.send("echo 3 && exit").catch(() => {});
    expect(await third.rest()).toBe(
      "limpet: refused, because 2 connections are open and there may be no " +
        "more. Try again when one has ended\n",
    );
    expect(events.filter(({ session }) => session === 3)).toEqual([
      expect.objectContaining({ type: "too_many", maxConnections: 2 }),
    ]);
    expect(server.connectionCount).toBe(2);
    third.close();

    // The others go on, and a place that is free again is taken.
    await second.send("echo 2 on");
    expect(await second.text(5)).toBe("2 on\n");
    client.close();
    await eventually(() => server.connectionCount === 1, () => "it is over");
    const fourth = await Plain.to(port);
    await fourth.send("echo 4 4");
    expect(await fourth.text(4)).toBe("4 4\n");
    fourth.close();
    second.close();
  });

  test("very many too many cost no more than a few", async () => {
    const { server, client, port } = await serve({ maxConnections: 1 });
    await client.send("echo 1");
    expect(await client.text(2)).toBe("1\n");
    const many = await Promise.all(
      Array.from({ length: 20 }, () => Plain.to(port)),
    );
    await Promise.all(many.map((each) => each.ended));
    expect(server.connectionCount).toBe(1);
    await client.send("echo on on");
    expect(await client.text(6)).toBe("on on\n");
    for (const each of [client, ...many]) each.close();
  });

  test("much of both at once blocks neither", async () => {
    const { client } = await serve({});
    await client.send("seq 1 300000 >&2; seq 1 300000");
    expectSame(await client.take(SEQ.byteLength), SEQ);
    expectSame(await client.take(SEQ.byteLength), SEQ);
    client.close();
  });

  test("a client that has ended its side and hears nothing counts as gone", async () => {
    const { client, ended, server } = await serve({ silenceMs: 100 });
    await client.send("echo on; exec sleep 1000");
    expect(await client.text(3)).toBe("on\n");
    await client.end();
    await eventually(() => server.connectionCount === 0, () => "it is over");
    expect(ended()).toMatchObject({
      signal: "SIGTERM",
      reason: "disconnected",
    });
    client.close();
  });

  test("a command whose client has gone may talk while it cleans up", async () => {
    const { client, ended, server } = await serve({ silenceMs: 100 });
    await client.send(
      "trap 'echo bye; sleep 0.1; echo bye >&2; exit 3' TERM; " +
        "echo on; while :; do sleep 0.1; done",
    );
    expect(await client.text(3)).toBe("on\n");
    await client.end();
    await eventually(() => server.connectionCount === 0, () => "it is over");
    expect(ended()).toMatchObject({ code: 3, reason: "disconnected" });
    client.close();
  });

  test("one that has gone behind much that nobody took counts as gone", async () => {
    const { client, ended, server } = await serve({ silenceMs: 100 });
    await client.send("echo on; exec sleep 1000");
    expect(await client.text(3)).toBe("on\n");
    // Its end stands behind more than the server reads ahead.
    client.send(new Uint8Array(4_000_000)).catch(() => {});
    await eventually(() => server.connectionCount === 0, () => "it is over");
    expect(ended()).toMatchObject({
      signal: "SIGTERM",
      reason: "disconnected",
    });
    client.close();
  });

  test("closing ends idle connections too", async () => {
    const { client, server, events } = await serve({});
    await client.send("echo on");
    expect(await client.text(3)).toBe("on\n");
    await server.close();
    expect(await client.rest()).toBe("");
    expect(server.connectionCount).toBe(0);
    expect(events.at(-1)).toMatchObject({
      type: "disconnected",
      message: "the server is shutting down",
    });
    client.close();
  });
});
