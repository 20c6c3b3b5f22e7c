import { randomFillSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chunksOf,
  type Digest,
  digest,
  seqDigest,
  streamOf,
  textOf,
} from "./support/bytes.ts";
import { RUNTIMES, THIS_RUNTIME } from "./support/runtimes.ts";
import { serverFor, useServer } from "./support/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "limpet-streams-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let twoMillion: Digest;
beforeAll(async () => {
  twoMillion = await seqDigest(2_000_000);
  expect(twoMillion.bytes).toBe(14_888_896);
});

describe.each(RUNTIMES)("a server on %s", (runtime) => {
  const server = useServer(runtime);

  test("sends seq 1 2000000 byte for byte", async () => {
    await using session = await server().connect();
    const child = session.spawn("seq", { args: ["1", "2000000"] });
    expect(await digest(chunksOf(child.stdout))).toEqual(twoMillion);
    expect(await child.status).toMatchObject({ code: 0, success: true });
    expect(child.heldOpen).toBe(false);
  });

  test("passes every byte value on, both ways and on both streams", async () => {
    await using session = await server().connect();
    const bytes = Uint8Array.from({ length: 256 * 257 }, (_, i) => {
      return (i + Math.floor(i / 256)) % 256;
    });
    for (
      const stdin of [bytes, streamOf([bytes.slice(0, 999), bytes.slice(999)])]
    ) {
      const line = "cat > bytes && cat bytes && cat bytes >&2";
      const output = await session.output(line, {
        shell: true,
        cwd: folder,
        stdin,
      });
      expect(output.stdout).toEqual(bytes);
      expect(output.stderr).toEqual(bytes);
    }
  });

  test("keeps stdout and stderr apart", async () => {
    await using session = await server().connect();
    const line = "seq 1 100000 & seq 100001 200000 >&2; wait";
    const child = session.spawn(line, { shell: true });
    const [out, err] = await Promise.all([
      textOf(child.stdout),
      textOf(child.stderr),
    ]);
    expect(out.trimEnd().split("\n").map(Number)).toEqual(
      Array.from({ length: 100_000 }, (_, i) => i + 1),
    );
    expect(err.trimEnd().split("\n").map(Number)).toEqual(
      Array.from({ length: 100_000 }, (_, i) => i + 100_001),
    );
  });

  test("merge keeps the order in which both were written", async () => {
    await using session = await server().connect();
    const line =
      "i=0; while [ $i -lt 1000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
    let expected = "";
    for (let i = 0; i < 1_000; i++) expected += `o${i}\ne${i}\n`;
    const asLine = session.spawn(line, { shell: true, merge: true });
    expect(await textOf(asLine.stdout)).toBe(expected);
    expect(() => asLine.stderr).toThrow("not piped");
    const args = ["-c", line];
    const asArgv = await session.output("sh", { args, merge: true });
    expect(new TextDecoder().decode(asArgv.stdout)).toBe(expected);
    expect(asArgv.stderr.byteLength).toBe(0);
  });

  test("what is not wanted is not sent", async () => {
    await using session = await server().connect();
    const child = session.spawn("echo out; echo err >&2; exit 3", {
      shell: true,
      stdout: "null",
    });
    expect(() => child.stdout).toThrow("not piped");
    expect(() => child.stdin).toThrow("not piped");
    expect(await textOf(child.stderr)).toBe("err\n");
    expect(await child.status).toMatchObject({ code: 3 });
    const silent = session.spawn("seq 1 100000; seq 1 100000 >&2", {
      shell: true,
      stdout: "null",
      stderr: "null",
    });
    expect(await silent.status).toMatchObject({ code: 0 });
  });
});

describe(`a server on ${serverFor(1)}`, () => {
  const server = useServer(serverFor(1));

  // Many windows either way; what counts bytes is the core's.
  const size = THIS_RUNTIME === "node" ? 200_000_000 : 50_000_000;

  test(`${size / 1e6} MB of random bytes through cat and back`, async () => {
    await using session = await server().connect();
    function* random() {
      for (let left = size; left > 0;) {
        const chunk = randomFillSync(new Uint8Array(Math.min(left, 100_000)));
        yield chunk;
        left -= chunk.byteLength;
      }
    }
    const child = session.spawn("cat", { stdin: "piped" });
    const writer = child.stdin.getWriter();
    const send = async function* () {
      for (const chunk of random()) {
        await writer.write(chunk);
        yield chunk;
      }
      await writer.close();
    };
    const [sent, received] = await Promise.all([
      digest(send()),
      digest(chunksOf(child.stdout)),
    ]);
    expect(sent.bytes).toBe(size);
    expect(received).toEqual(sent);
    expect(await child.status).toMatchObject({ code: 0 });
  });
});
