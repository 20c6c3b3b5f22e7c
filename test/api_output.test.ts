import { describe, expect, test } from "vitest";
import { connect } from "../core/client.ts";
import type { Output } from "../core/exec/output.ts";
import {
  chunksOf,
  digest,
  seqBytes,
  seqDigest,
  textOf,
} from "./support/bytes.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive } from "./support/processes.ts";
import { serverFor, useServer } from "./support/servers.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe(`a server on ${serverFor(1)}`, () => {
  const runtime = serverFor(1);
  const server = useServer(runtime);

  test("output() says how the command ended and what it wrote", async () => {
    await using session = await server().connect();
    const output: Output = await session.output("echo out; echo err >&2", {
      shell: true,
    });
    expect(output).toEqual({
      code: 0,
      signal: null,
      reason: null,
      success: true,
      stdout: new TextEncoder().encode("out\n"),
      stderr: new TextEncoder().encode("err\n"),
      truncated: false,
      heldOpen: false,
      jobId: expect.stringMatching(/^[0-9a-z]{12}$/),
      dropped: 0,
    });
    const killed = await session.output("kill -9 $$", { shell: true });
    expect(killed).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  test("output() keeps the first maxBytes, and reads on to the end", async () => {
    await using session = await server().connect();
    const line = "seq 1 300000; printf 12345 >&2";
    const cut = await session.output(line, { shell: true, maxBytes: 1_000 });
    expect(cut).toMatchObject({ code: 0, truncated: true });
    expect(text(cut.stdout)).toBe(text(seqBytes(1_000).subarray(0, 1_000)));
    expect(text(cut.stderr)).toBe("12345");
    const exact = await session.output("printf", {
      args: ["12345"],
      maxBytes: 5,
    });
    expect(exact).toMatchObject({ truncated: false });
    const over = await session.output("printf", {
      args: ["123456"],
      maxBytes: 5,
    });
    expect(over).toMatchObject({ truncated: true });
    expect(text(over.stdout)).toBe("12345");
    const none = await session.output("printf", { args: ["1"], maxBytes: 0 });
    expect(none).toMatchObject({ truncated: true });
    expect(none.stdout.byteLength).toBe(0);
  });

  test("what output() gives belongs to whoever asked, where nothing was written too", async () => {
    await using session = await server().connect();
    for (let i = 0; i < 2; i++) {
      const { stdout, stderr } = await session.output("true", { merge: true });
      for (const { buffer } of [stdout, stderr]) {
        expect(structuredClone(buffer, { transfer: [buffer] }).byteLength)
          .toBe(0);
      }
    }
    await using another = await server().connect();
    expect(await another.output("true")).toMatchObject({ code: 0 });
  });

  test("output() feeds text, bytes and streams", async () => {
    await using session = await server().connect();
    const cat = async (stdin: string | Uint8Array | ReadableStream) =>
      text((await session.output("cat", { stdin })).stdout);
    expect(await cat("Grüße\n")).toBe("Grüße\n");
    expect(await cat("")).toBe("");
    expect(await cat(new Uint8Array([65, 66]))).toBe("AB");
    expect(await cat(new Blob(["from ", "a blob"]).stream())).toBe(
      "from a blob",
    );
  });

  test("cwd and env are the command's own", async () => {
    await using session = await server().connect();
    const here = await session.output("pwd", { cwd: "/usr" });
    expect(text(here.stdout)).toBe("/usr\n");
    const args = ["-c", 'printf "%s|" "$A" "$B_1" "${HOME+home}"'];
    const env = { A: "ü $(id) 'x'\n", B_1: "" };
    const output = await session.output("sh", { args, env });
    expect(text(output.stdout)).toBe("ü $(id) 'x'\n||home|");
    const without = await session.output("sh", { args });
    expect(text(without.stdout)).toBe("||home|");
    const path = await session.output("sh", { args, env: { PATH: "/nowhere" } })
      .catch((error) => error.code);
    expect(path).toBe("not_found");
  });

  test("a line takes no args", async () => {
    await using session = await server().connect();
    expect(() => session.spawn("echo", { shell: true, args: ["x"] })).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });

  test("`await using` ends a command, and a session its commands", async () => {
    let pid = 0;
    {
      await using session = await server().connect();
      {
        await using child = session.spawn("sleep", { args: ["100"] });
        pid = await child.pid;
        expect(isAlive(pid)).toBe(true);
      }
      expect(isAlive(pid)).toBe(false);
      // After its own end there is nothing left to do.
      await using done = session.spawn("true");
      await done.status;
      await using missing = session.spawn("no-such-command-here");
      await expect(missing.status).rejects.toThrow("no-such-command-here");
      pid = await session.spawn("sleep", { args: ["100"] }).pid;
    }
    await eventually(() => !isAlive(pid), () => `${pid} is gone`);
  });

  test("a command can leave before the server's proof has come", async () => {
    const { token } = server();
    await using session = await connect(server().dial, { token, early: true });
    expect(() => session.platform).toThrow(
      expect.objectContaining({ code: "unauthenticated" }),
    );
    const child = session.spawn("cat", { stdin: "piped" });
    const writer = child.stdin.getWriter();
    writer.write(new TextEncoder().encode("early"));
    writer.close();
    expect(await textOf(child.stdout)).toBe("early");
    expect(await child.status).toMatchObject({ code: 0 });
    expect((await session.ready).os).toBe("linux");
    expect(session.platform.runtime.split(" ")[0]).toBe(runtime);
  });

  test("an early command with a wrong token fails for that reason", async () => {
    const token = "not-the-token-of-this-server";
    await using session = await connect(server().dial, { token, early: true });
    const child = session.spawn("echo", { args: ["never"] });
    await expect(child.status).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await expect(textOf(child.stdout)).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await expect(session.ready).rejects.toMatchObject({
      code: "unauthenticated",
    });
  });

  test("streams pipe as web streams do", async () => {
    await using session = await server().connect();
    const from = session.spawn("seq", { args: ["1", "200000"] });
    const to = session.spawn("cat", { stdin: "piped" });
    const [, got] = await Promise.all([
      from.stdout.pipeTo(to.stdin),
      digest(chunksOf(to.stdout)),
    ]);
    expect(got).toEqual(await seqDigest(200_000));
    const [left, right] = session.spawn("seq", { args: ["1", "50000"] })
      .stdout.tee();
    expect(await Promise.all([textOf(left), textOf(right)])).toEqual(
      [text(seqBytes(50_000)), text(seqBytes(50_000))],
    );
  });

  test("after its end a session starts nothing, and says why", async () => {
    const session = await server().connect();
    const child = session.spawn("sleep", { args: ["100"] });
    await child.pid;
    await session.close();
    await session.close();
    expect(session.over).toBe(true);
    expect(() => session.spawn("true")).toThrow(
      expect.objectContaining({ code: "closed" }),
    );
    await expect(child.status).rejects.toMatchObject({ code: "closed" });
    await expect(textOf(child.stdout)).rejects.toMatchObject({
      code: "closed",
      complete: false,
    });
    child.kill();
    child.terminate();
  });
});
