import { beforeAll, describe, expect, test } from "vitest";
import {
  chunksOf,
  type Digest,
  digest,
  receive,
  seqBytes,
  seqDigest,
  textOf,
} from "./support/bytes.ts";
import { cutAfter, oneByteReads, throttled } from "./support/faults.ts";
import { serverFor, useServer } from "./support/servers.ts";

const LAST = 2_000_000;
let whole: Digest;
beforeAll(async () => {
  whole = await seqDigest(LAST);
});

describe(`seq 1 ${LAST} from a server on ${serverFor(2)}`, () => {
  const server = useServer(serverFor(2));
  const command = { args: ["1", String(LAST)] };

  test("over a link of 6 MB a second", async () => {
    await using session = await server().connect({
      wrap: (duplex) => throttled(duplex, 6_000_000),
    });
    const started = performance.now();
    const child = session.spawn("seq", command);
    expect(await digest(chunksOf(child.stdout))).toEqual(whole);
    expect(await child.status).toMatchObject({ code: 0 });
    expect(performance.now() - started).toBeGreaterThan(2_000);
  });

  test("over a link that delivers one byte at a time", async () => {
    // All of it would take 20 to 35 seconds.
    const last = LAST / 10;
    await using session = await server().connect({ wrap: oneByteReads });
    const child = session.spawn("seq", { args: ["1", String(last)] });
    // A reader with pauses: single bytes up to the queue, blocks out of it.
    const unhurried = async function* () {
      for await (const chunk of chunksOf(child.stdout)) {
        yield chunk;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    expect(await digest(unhurried())).toEqual(await seqDigest(last));
    expect(await child.status).toMatchObject({ code: 0 });
  });

  test("in single bytes to a reader that takes each one", async () => {
    await using session = await server().connect({ wrap: oneByteReads });
    const child = session.spawn("seq", { args: ["1", "50000"] });
    const { bytes, error } = await receive(child.stdout);
    expect(error).toBe(null);
    expect(bytes).toEqual(seqBytes(50_000));
  });
});

describe.each([0, 1])("a link that is cut, turn %i", (turn) => {
  const server = useServer(serverFor(turn));
  const expected = seqBytes(LAST);

  test.each(["reset", "end"] as const)("in the middle: %s", async (how) => {
    await using session = await server().connect({
      wrap: (duplex) => cutAfter(duplex, 5_000_000, "received", how),
    });
    const child = session.spawn("seq", { args: ["1", String(LAST)] });
    const { bytes, error } = await receive(child.stdout);
    expect(error).toMatchObject({ code: "connection_lost", complete: false });
    expect(bytes.byteLength).toBeGreaterThan(4_900_000);
    expect(bytes.byteLength).toBeLessThan(5_000_000);
    expect(
      expected.subarray(0, bytes.byteLength).every((b, i) => b === bytes[i]),
    ).toBe(true);
    await expect(child.status).rejects.toMatchObject({
      code: "connection_lost",
      exitCode: null,
      signal: null,
    });
    expect((await session.closed).code).toBe("connection_lost");
    expect(() => session.spawn("true")).toThrow("onnection");
  });

  test("anywhere: never a clean end of what is not whole", async () => {
    const text = "seq 1 3000; sleep 0.05; echo last; exit 9";
    const { stdout } = await (await server().connect())
      .output(text, { shell: true });
    const whole = new TextDecoder().decode(stdout);
    let lost = 0;
    for (let at = 300; at < 300 + stdout.byteLength + 600; at += 701) {
      await using session = await server().connect({
        wrap: (duplex) => cutAfter(duplex, at, "received", "end"),
      }).catch((error) => {
        expect(error).toMatchObject({ code: "connection_lost" });
        return null;
      });
      if (session === null) continue;
      const child = session.spawn(text, { shell: true });
      const { bytes, error } = await receive(child.stdout);
      const said = new TextDecoder().decode(bytes);
      expect(whole.startsWith(said)).toBe(true);
      if (error === null) expect(said).toBe(whole);
      else expect(error).toMatchObject({ code: "connection_lost" });
      const status = await child.status.catch((error) => error.code);
      if (status === "connection_lost") lost++;
      else expect(status).toMatchObject({ code: 9 });
    }
    expect(lost).toBeGreaterThan(10);
  });

  test("output() keeps what had arrived", async () => {
    await using session = await server().connect({
      wrap: (duplex) => cutAfter(duplex, 200_000),
    });
    const error = await session.output("seq", { args: ["1", String(LAST)] })
      .catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: "LimpetError",
      code: "connection_lost",
      complete: false,
      exitCode: null,
    });
    expect(error.stdout.byteLength).toBeGreaterThan(190_000);
    expect(error.stdout).toEqual(
      expected.slice(0, error.stdout.byteLength),
    );
    expect(error.stderr).toEqual(new Uint8Array(0));
  });

  test("on the way up: the command never sees an end of file", async () => {
    await using watcher = await server().connect();
    await using session = await server().connect({
      wrap: (duplex) => cutAfter(duplex, 300_000, "sent"),
    });
    const child = session.spawn("cat; echo complete; sleep 60", {
      shell: true,
      stdin: "piped",
      killAfterMs: 300,
    });
    const pid = await child.pid;
    const writer = child.stdin.getWriter();
    const write = async () => {
      for (;;) await writer.write(new Uint8Array(10_000));
    };
    const [output] = await Promise.all([
      receive(child.stdout),
      expect(write()).rejects.toMatchObject({ code: "connection_lost" }),
    ]);
    expect(output.error).toMatchObject({ code: "connection_lost" });
    expect(output.bytes.every((byte) => byte === 0)).toBe(true);
    // Its server ends it: it must not wait for somebody who is gone.
    const gone = watcher.spawn(
      `while kill -0 ${pid} 2>/dev/null; do sleep 0.05; done; echo gone`,
      { shell: true, timeoutMs: 60_000 },
    );
    expect(await textOf(gone.stdout)).toBe("gone\n");
  });
});
