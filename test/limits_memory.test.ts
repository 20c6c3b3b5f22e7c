import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { connect, type Session } from "../core/client.ts";
import type { RemoteCommand } from "../core/exec/client.ts";
import { reservationFor } from "../core/exec/reservation.ts";
import { decodeRequest } from "../core/exec/request.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { Memory, Share } from "../core/memory.ts";
import type { Command } from "../core/ports.ts";
import { Server } from "../core/server.ts";
import type { ServerLimits } from "../core/server_limits.ts";
import { textOf } from "./support/bytes.ts";
import { pair } from "./support/faults.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { heldBytes } from "./support/memory.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { PLATFORM, serving, TOKEN, warmUp } from "./support/serving.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;
const OUTPUT = 128 * KIB + 64 * KIB;
const WINDOW = 256 * KIB;

describe("memory", () => {
  test("at the limit, one byte past it, and after something is given back", () => {
    const memory = new Memory("one", 100);
    expect(memory.take(60)).toBe(null);
    expect(memory.take(41)).toBe(memory);
    expect(memory.take(40)).toBe(null);
    expect(memory.take(1)).toBe(memory);
    memory.give(60);
    expect(memory.take(60)).toBe(null);
    expect(memory.held).toBe(100);
  });

  test("within another: says which is full, and takes from neither", () => {
    const all = new Memory("all", 150);
    const [a, b] = [new Memory("a", 100, all), new Memory("b", 100, all)];
    expect(a.take(100)).toBe(null);
    expect(a.take(1)).toBe(a);
    expect(b.take(51)).toBe(all);
    expect(b.held).toBe(0);
    expect(b.take(50)).toBe(null);
    a.give(100);
    expect(all.held).toBe(50);
  });

  test("a share takes what is beyond its free part, and gives it back", () => {
    const all = new Memory("all", 100);
    const [one, two] = [new Share(all, 10), new Share(all, 10)];
    expect(one.hold(110)).toBe(true);
    expect(all.held).toBe(100);
    expect(two.hold(10)).toBe(true);
    expect(two.hold(11)).toBe(false);
    expect(one.hold(60)).toBe(true);
    expect(two.hold(11)).toBe(true);
    expect(one.hold(111)).toBe(false);
    expect(all.held).toBe(51);
    one.hold(0);
    two.hold(0);
    expect(all.held).toBe(0);
  });
});

/** What is set aside for the request in these fields. */
function reserved(fields: object): number {
  const { payload } = jsonFrame(
    FrameType.OPEN,
    { kind: "exec", ...fields },
    1,
  );
  const request = decodeRequest(payload);
  return reservationFor(request, payload.byteLength, WINDOW) -
    2 * payload.byteLength;
}

test.each([
  [{}, 2 * OUTPUT],
  [{ stdin: true }, 2 * OUTPUT + WINDOW + 128 * KIB],
  [{ stderr: false }, OUTPUT],
  [{ merge: true }, OUTPUT],
  [{ merge: true, stderr: false }, OUTPUT],
  [{ stdout: false, stderr: false }, 0],
  [{ stdout: false, stderr: false, stdin: true }, WINDOW + 128 * KIB],
])("a command with %o is set aside %d bytes", (fields, bytes) => {
  expect(reserved({ argv: ["x"], ...fields })).toBe(bytes);
});

describe("commands on real sockets", () => {
  const noLeaks = useLeakCheck(warmUp);
  // Without a word of slack: what each takes is 2 * OUTPUT and its request.
  const room = (commands: number) => commands * (2 * OUTPUT + 1_000);

  const sleeper = (session: Session): RemoteCommand => {
    const child = session.spawn("sleep", { args: ["100"] });
    child.status.catch(() => {});
    return child;
  };

  test.each(
    [
      ["maxBufferedBytes", 1],
      ["maxTotalBufferedBytes", 2],
    ] as const,
  )(
    "%s: as many as there is room for, one past it is refused",
    async (name, count) => {
      const served = await serving({ [name]: room(3) });
      const sessions: Session[] = [];
      for (let i = 0; i < count; i++) sessions.push(await served.connect());
      const running = [0, 1, 2].map((i) => sleeper(sessions[i % count]));
      await Promise.all(running.map(({ pid }) => pid));
      const error = await sessions[0].output("true").catch((thrown) => thrown);
      expect(error).toMatchObject({
        code: "limit_exceeded",
        message: expect.stringContaining(`limit ${name} allows`),
      });
      // What needs no buffers still runs, and the session has taken no harm.
      const silent = sessions[0].spawn("true", {
        stdout: "null",
        stderr: "null",
      });
      expect(await silent.status).toMatchObject({ code: 0 });
      running[0].terminate();
      await running[0].status;
      // It is given back with the end of the last stream.
      await Promise.all([
        textOf(running[0].stdout),
        textOf(running[0].stderr),
      ]);
      expect(await sessions[0].output("true")).toMatchObject({ code: 0 });
      for (const session of sessions) await session.close();
      await served.untilDisconnected(count);
      const last = await served.connect();
      const again = [0, 1, 2].map(() => sleeper(last));
      await Promise.all(again.map(({ pid }) => pid));
      await last.close();
      await served[Symbol.asyncDispose]();
      await noLeaks();
    },
  );

  test("readers that stop cost no more than was set aside", async () => {
    const served = await serving({ maxBufferedBytes: room(20) });
    const session = await served.connect();
    const before = await heldBytes();
    const stalled: RemoteCommand[] = [];
    let refused = 0;
    for (let i = 0; i < 25; i++) {
      const child = session.spawn("yes");
      child.status.catch(() => {});
      await child.pid.then(() => stalled.push(child), () => refused++);
    }
    expect([stalled.length, refused]).toEqual([20, 5]);
    // All that a client which reads nothing of them lets come.
    const other = await session.output("seq", {
      args: ["1", "100000"],
      stderr: "null",
    }).catch((thrown) => thrown);
    expect(other).toMatchObject({ code: "limit_exceeded" });
    const reader = stalled[0].stdout.getReader();
    for (let bytes = 0; bytes < MIB;) {
      bytes += (await reader.read()).value?.byteLength ?? 0;
    }
    // The client is in this process too: it holds a window of each stream.
    const held = await heldBytes() - before;
    expect(held).toBeLessThan(2 * room(20) + 2 * 20 * WINDOW + 24 * MIB);
    await reader.cancel();
    await stalled[0].status;
    await textOf(stalled[0].stderr);
    const { stdout } = await session.output("seq", { args: ["1", "100000"] });
    expect(stdout.byteLength).toBe(588_895);
    await session.close();
    await served[Symbol.asyncDispose]();
    await noLeaks();
  });
});

/** `cat` in memory: it takes one chunk of stdin for each that is read of it. */
function catSpawner() {
  let pid = 0;
  return (command: Command) => {
    const through = new TransformStream<Uint8Array, Uint8Array>(
      {},
      { highWaterMark: 1 },
      { highWaterMark: 0 },
    );
    let end = (_: { code: number | null; signal: string | null }) => {};
    let alive = true;
    const status = new Promise<{ code: number | null; signal: string | null }>(
      (resolve) => end = resolve,
    ).finally(() => alive = false);
    const reader = through.readable.getReader();
    const empty = command.stdin === "null";
    if (empty) through.writable.close().catch(() => {});
    const stdout = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        controller.close();
        end({ code: 0, signal: null });
      },
      cancel: () => end({ code: null, signal: "SIGPIPE" }),
    }, { highWaterMark: 0 });
    return Promise.resolve({
      pid: ++pid,
      stdin: empty ? null : through.writable,
      stdout,
      stderr: null,
      status,
      kill: (signal: string) => {
        end({ code: null, signal });
        return alive;
      },
      groupAlive: () => alive,
    });
  };
}

function serverWith(limits: Partial<ServerLimits>): Server {
  return new Server({
    token: TOKEN,
    platform: PLATFORM,
    environment: () => ({}),
    spawner: catSpawner(),
    limits,
  });
}

test(
  "whoever stops reading, nobody else waits, and all comes to its end",
  async () => {
    const command = fc.record({
      session: fc.nat(2),
      bytes: fc.integer({ min: 0, max: 20_000 }),
      // When its reader begins to read: in the order of these, one by one.
      turn: fc.nat(100),
    });
    const scripts = fc.array(command, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        scripts,
        fc.integer({ min: 1, max: 8 }),
        async (script, roomFor) => {
          const each = 2_048 + 128 * KIB + OUTPUT + 400;
          const server = serverWith({
            windowBytes: 2_048,
            maxBufferedBytes: each * 4,
            maxTotalBufferedBytes: each * roomFor,
          });
          const overs: Promise<void>[] = [];
          const sessions = await Promise.all([0, 1, 2].map(() => {
            const [clientEnd, serverEnd] = pair(4_096);
            overs.push(server.accept(serverEnd));
            return connect(clientEnd, {
              token: TOKEN,
              limits: { windowBytes: 2_048 },
            });
          }));
          const waiting = script.map((one, i) => {
            const child = sessions[one.session].spawn("cat", {
              stdin: "piped",
              stderr: "null",
            });
            const status = child.status.catch((error) => error);
            // Every writer writes all it has, whether anybody reads or not.
            const writer = child.stdin.getWriter();
            const fed = writer.write(new Uint8Array(one.bytes).fill(i + 1))
              .then(() => writer.close()).catch(() => {});
            return { ...one, child, status, fed, fill: i + 1 };
          });
          let started = 0;
          const order = waiting.toSorted((a, b) => a.turn - b.turn);
          for (const { child, status, fed, bytes, fill } of order) {
            const pid = await child.pid.catch(() => null);
            if (pid === null) {
              expect(await status).toMatchObject({ code: "limit_exceeded" });
              continue;
            }
            started++;
            // The others' readers have not even begun.
            let got = 0;
            for await (const chunk of child.stdout) {
              got += chunk.byteLength;
              expect(chunk.every((byte) => byte === fill)).toBe(true);
            }
            expect(got).toBe(bytes);
            expect(await status).toMatchObject({ code: 0 });
            await fed;
          }
          const fits = Math.min(roomFor, waiting.length);
          expect(started).toBeGreaterThanOrEqual(Math.min(fits, 1));
          // All is given back: once more as many as there were at first.
          const again = await sessions[0].output("cat", { stderr: "null" });
          expect(again).toMatchObject({ code: 0 });
          await Promise.all(sessions.map((session) => session.close()));
          await Promise.all(overs);
          await server.close();
        },
      ),
      { numRuns: 25 },
    );
  },
);

describe("messages of a session, of what all have", () => {
  const part = (bytes: number): Frame => ({
    type: FrameType.PART,
    stream: 0,
    channel: 1,
    payload: new Uint8Array(bytes).fill(0x20),
  });

  /** A client played by hand. */
  async function begin(server: Server) {
    const [clientEnd, serverEnd] = pair();
    const over = server.accept(serverEnd);
    const peer = new RawPeer(clientEnd);
    await peer.authenticate();
    return { peer, over };
  }

  test("one put together: 64 KiB in any case, more while there is room", async () => {
    const server = serverWith({ maxTotalBufferedBytes: 100 * KIB });
    const first = await begin(server);
    // Doubled as it grows: 64, 128 KiB, of which the first 64 are free.
    await first.peer.write(part(64 * KIB), part(64 * KIB));
    const second = await begin(server);
    await second.peer.write(part(64 * KIB));
    const third = await begin(server);
    await third.peer.write(part(64 * KIB), part(64 * KIB));
    expect(await third.peer.closeCode()).toBe("limit_exceeded");
    await third.over;
    await first.peer.drop();
    await first.over;
    // What the first had is there for others again.
    const fourth = await begin(server);
    await fourth.peer.write(part(64 * KIB), part(64 * KIB - 100));
    await fourth.peer.write(
      jsonFrame(FrameType.OPEN, { kind: "x" }, 1),
    );
    await fourth.peer.expect(FrameType.REFUSED);
    for (const { peer, over } of [second, fourth]) {
      await peer.drop();
      await over;
    }
    await server.close();
  });
});
