import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import type { Duplex } from "../core/ports.ts";
import { resumable } from "../core/resume.ts";
import { Server } from "../core/server.ts";
import { digest } from "./support/bytes.ts";
import { temporaryFolder } from "./support/cli.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import {
  cutAfter,
  type Direction,
  pair,
  recorded,
  type Recording,
} from "./support/faults.ts";
import { join as joined } from "./support/frames.ts";
import { inlineCrypto } from "./fuzz/inline_crypto.ts";
import { Prng } from "./fuzz/prng.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { type Break, proxyTo } from "./support/proxy.ts";
import { isOurs } from "./support/runtimes.ts";
import { PLATFORM, serving, TOKEN, warmUp } from "./support/serving.ts";

const folder = temporaryFolder();
useLeakCheck(warmUp);

const SEED = Number(process.env.LIMPET_CUTS_SEED ?? Date.now() % 1e9);

test(
  "bulk each way, and commands beside it, with up to twenty cuts at random",
  async () => {
    console.log(`LIMPET_CUTS_SEED=${SEED}`);
    const rng = new Prng(SEED);
    const bytes = 12 * 1024 * 1024;
    await using served = await serving();
    await using proxy = await proxyTo(served.target.port);
    let resumed = 0;
    const session = await connect(proxy.dial, {
      token: TOKEN,
      limits: { keepaliveMs: 200, keepaliveCount: 2 },
      resume: resumable({
        onEvent: ({ type }) => {
          if (type === "resumed") resumed++;
        },
      }),
    });
    const cat = session.spawn("cat", { stdin: "piped" });
    function* chunks() {
      const own = new Prng(SEED);
      for (let left = bytes; left > 0; left -= 65_536) {
        yield new Uint8Array(own.bytes(65_536));
      }
    }
    const feed = async () => {
      const writer = cat.stdin.getWriter();
      for (const chunk of chunks()) {
        await writer.write(chunk);
        // A link must not keep what is ours again.
        chunk.fill(0);
      }
      await writer.close();
    };
    const echoed = digest(cat.stdout as unknown as AsyncIterable<Uint8Array>);
    const file = join(folder, "ran");
    let over = false;
    const beside = async () => {
      let count = 0;
      for (; !over; count++) {
        const line = `echo ${count} >> ${file}; echo ${count}`;
        const { stdout } = await session.output(line, { shell: true });
        expect(new TextDecoder().decode(stdout)).toBe(`${count}\n`);
      }
      return count;
    };
    const cuts = async () => {
      const ways: Break[] = ["reset", "close", "stall"];
      for (let i = 0; i < 20; i++) {
        const next = proxy.bytes + rng.below(2 * bytes / 20);
        await eventually(
          () => proxy.bytes >= next || over,
          () => `${proxy.bytes} bytes went through, ${next} will have`,
        );
        if (over) return i;
        proxy.cut(ways[rng.below(3)]);
        await eventually(() => resumed > i, () => `cut ${i} is got over`);
      }
      return 20;
    };
    const running = beside();
    const cutting = cuts();
    const [, got] = await Promise.all([feed(), echoed]);
    expect(await cat.status).toMatchObject({ code: 0 });
    over = true;
    const count = await running;
    expect(got).toEqual(await digest(chunks()));
    // How many there is time for is the machine's affair.
    expect(await cutting).toBeGreaterThan(4);
    const lines = Array.from({ length: count }, (_, i) => `${i}\n`).join("");
    expect(readFileSync(file, "utf8")).toBe(lines);
    expect(session.over).toBe(false);
    await session.close();
  },
);

interface Cut {
  readonly bytes: number;
  readonly direction: Direction;
}

const SAID = new TextEncoder().encode("said once");

/**
 * A session in memory, whose connections break there, one after another, and a
 * command on it. Everything has to be as if none had. Says how many connections
 * there were, and how many bytes came over the first up to the session.
 */
async function play(cuts: readonly Cut[]) {
  using _inline = inlineCrypto();
  let started = 0;
  const run = fakeSpawner({
    reads: 5,
    stdout: SAID,
    exit: { code: 7, signal: null },
  });
  const server = new Server({
    token: TOKEN,
    spawner: (command) => {
      started++;
      return run(command);
    },
    platform: PLATFORM,
    environment: () => ({}),
  });
  let connections = 0;
  const recording: Recording = { sent: [], received: [] };
  const dial = (): Promise<Duplex> => {
    const [client, serverEnd] = pair();
    server.accept(serverEnd);
    const cut = cuts[connections++];
    const whole = connections === 1 ? recorded(client, recording) : client;
    return Promise.resolve(
      cut === undefined ? whole : cutAfter(whole, cut.bytes, cut.direction),
    );
  };
  const session = await connect(dial, {
    token: TOKEN,
    resume: resumable({ random: () => 0 }),
  });
  const handshake = joined(recording.received).byteLength;
  const child = session.spawn("tell", { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("12345"));
  await writer.close().catch(() => {});
  const { bytes } = await digest(
    child.stdout as unknown as AsyncIterable<Uint8Array>,
  );
  const what = JSON.stringify(cuts);
  expect(bytes, what).toBe(SAID.byteLength);
  expect(await child.status, what).toMatchObject({ code: 7 });
  expect(started, what).toBe(1);
  await session.close();
  await server.close(0);
  return { connections, handshake };
}

test.each(["received", "sent"] as const)(
  "what is %s comes through, however short the connections are",
  async (direction) => {
    using _inline = inlineCrypto();
    const large = new Prng(SEED).bytes(60_000);
    const isInput = direction === "sent";
    const server = new Server({
      token: TOKEN,
      spawner: fakeSpawner({
        reads: isInput ? large.byteLength : 0,
        stdout: isInput ? SAID : large,
        exit: { code: 7, signal: null },
      }),
      platform: PLATFORM,
      environment: () => ({}),
    });
    let connections = 0;
    const dial = (): Promise<Duplex> => {
      const [client, serverEnd] = pair();
      server.accept(serverEnd);
      // The first has its time. Others: the handshake, and far less than a frame.
      const bytes = ++connections === 1 ? 30_000 : 3_000;
      return Promise.resolve(
        connections > 100 ? client : cutAfter(client, bytes, direction),
      );
    };
    const session = await connect(dial, {
      token: TOKEN,
      resume: resumable({ random: () => 0 }),
    });
    const child = session.spawn("tell", { stdin: "piped" });
    const writer = child.stdin.getWriter();
    writer.write(isInput ? large : new Uint8Array(0)).catch(() => {});
    writer.close().catch(() => {});
    const got = await digest(
      child.stdout as unknown as AsyncIterable<Uint8Array>,
    );
    expect(got).toEqual(await digest([isInput ? SAID : large]));
    expect(await child.status).toMatchObject({ code: 7 });
    expect(connections).toBeGreaterThan(10);
    expect(connections).toBeLessThan(60);
    await session.close();
    await server.close(0);
  },
);

const DIRECTIONS: readonly Direction[] = ["received", "sent"];

test(
  "a resume that is cut after any byte, either way, is begun anew",
  async () => {
    const { handshake } = await play([]);
    const first: Cut = { bytes: handshake + 15, direction: "received" };
    expect((await play([first])).connections).toBe(2);
    let cut = 0, tried = 0;
    for (const direction of DIRECTIONS) {
      for (let bytes = 0; bytes < handshake + 120; bytes++) {
        if (!isOurs(bytes)) continue;
        tried++;
        const { connections } = await play([first, { bytes, direction }]);
        if (connections > 2) cut++;
      }
    }
    // The last ones are behind the end of a resume.
    expect(cut).toBeGreaterThan(tried - 440 / 3);
  },
);

test("and so is the resume of a resume", async () => {
  const { handshake } = await play([]);
  const first: Cut = { bytes: handshake + 15, direction: "received" };
  for (const second of DIRECTIONS) {
    for (const third of DIRECTIONS) {
      for (let bytes = 3; bytes < handshake + 120; bytes += 11) {
        if (!isOurs(bytes)) continue;
        const cuts = [
          first,
          // In the middle of the proofs.
          { bytes: Math.floor(handshake * 2 / 3), direction: second },
          { bytes, direction: third },
        ];
        expect((await play(cuts)).connections).toBeGreaterThan(2);
      }
    }
  }
});
