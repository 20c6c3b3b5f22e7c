import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { seqBytes } from "./support/bytes.ts";
import { limpet, temporaryFolder } from "./support/cli.ts";
import { Plain, startRaw, stopRaw, useRaw } from "./support/raw.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const SEQ = seqBytes(300_000);

const folder = temporaryFolder();
let count = 0;
const fresh = (name: string) => join(folder, `${name}${count++}`);

/** A line that waits for the file to be there. */
const waitFor = (file: string) => `until [ -e ${file} ]; do sleep 0.05; done`;

describe(`serve --raw on ${THIS_RUNTIME}`, () => {
  const raw = useRaw();

  test("stdout, then stderr, command after command", async () => {
    const server = raw();
    const client = await Plain.to(server.port);
    await client.send("echo err >&2; echo out");
    expect(await client.text(8)).toBe("out\nerr\n");
    await client.send("seq 1 300000");
    expect(await client.take(SEQ.byteLength)).toEqual(SEQ);
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

  test("a client that only listens gets its answer", async () => {
    const server = raw();
    const client = await Plain.to(server.port);
    await client.send("sleep 0.1; echo late; echo err >&2");
    await client.end();
    expect(await client.rest()).toBe("late\nerr\n");
    client.close();
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
