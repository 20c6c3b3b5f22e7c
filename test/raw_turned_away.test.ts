import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CLIENT_PREFACE } from "../core/frame/preface.ts";
import { LimpetError } from "../core/errors.ts";
import { RawServer } from "../core/raw/server.ts";
import { expectOwnWords, limpet, temporaryFolder } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { Plain, useRaw } from "./support/raw.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const folder = temporaryFolder();
let count = 0;
const fresh = (name: string) => join(folder, `${name}${count++}`);

describe(`serve --raw on ${THIS_RUNTIME}`, () => {
  const raw = useRaw();

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
