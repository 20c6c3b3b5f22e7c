import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { connect, type Session } from "../core/client.ts";
import type { LimpetError } from "../core/errors.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import { closeFrame } from "../core/session/handshake.ts";
import { keepAlive } from "../core/session/keepalive.ts";
import { pass, settle, useFakeTime } from "./support/fake_time.ts";
import { pair } from "./support/faults.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { serverOn } from "./support/session_ends.ts";
import { TOKEN } from "./support/serving.ts";

const SECOND = 1_000;
const { PING, PONG, STARTED } = FrameType;

useFakeTime();

describe("the keepalive by itself", () => {
  /** `ends`: as a session does whose only connection that was. */
  function watching(limits: Partial<Limits> = {}, ends = true) {
    const watched = { peer: "box:8090", heardAt: performance.now() };
    const since = performance.now();
    const pings: number[] = [];
    const losses: LimpetError[] = [];
    const stop = keepAlive(watched, { ...DEFAULT_LIMITS, ...limits }, {
      ping: () => pings.push(performance.now() - since),
      lost: (error) => {
        losses.push(error);
        if (ends) stop();
      },
    });
    const hear = () => watched.heardAt = performance.now();
    return { watched, pings, losses, stop, hear };
  }

  test("asks after each silence, and gives up after so many of them", () => {
    const { pings, losses } = watching();
    vi.advanceTimersByTime(15 * SECOND - 1);
    expect(pings).toEqual([]);
    vi.advanceTimersByTime(30 * SECOND);
    expect(pings).toEqual([15_000, 30_000]);
    expect(losses).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(losses).toEqual([expect.objectContaining({
      code: "connection_lost",
      message:
        "Connection to box:8090 was lost: it has been silent for 45000 ms",
    })]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("does not ask who is heard of", () => {
    const { pings, losses, hear, stop } = watching();
    for (let i = 0; i < 100; i++) {
      vi.advanceTimersByTime(14 * SECOND);
      hear();
    }
    expect(pings).toEqual([]);
    expect(losses).toEqual([]);
    stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("one byte just before the end begins it anew", () => {
    const { pings, losses, hear } = watching();
    vi.advanceTimersByTime(45 * SECOND - 1);
    hear();
    vi.advanceTimersByTime(45 * SECOND - 1);
    expect(losses).toEqual([]);
    expect(pings).toHaveLength(4);
    vi.advanceTimersByTime(1);
    expect(losses).toHaveLength(1);
  });

  test("who stood still itself gives the peer its chance to answer", () => {
    const { watched, pings, losses, hear } = watching({ keepaliveCount: 2 });
    // A minute in which no timer of ours ran: a laptop asleep.
    watched.heardAt -= 60 * SECOND;
    vi.advanceTimersByTime(15 * SECOND);
    expect([pings.length, losses.length]).toEqual([1, 0]);
    hear();
    vi.advanceTimersByTime(15 * SECOND);
    expect([pings.length, losses.length]).toEqual([2, 0]);
    vi.advanceTimersByTime(15 * SECOND);
    expect([pings.length, losses.length]).toEqual([2, 1]);
  });

  test("goes on with the next connection after a loss", () => {
    const { pings, losses, hear, stop } = watching({}, false);
    vi.advanceTimersByTime(45 * SECOND);
    expect(losses).toHaveLength(1);
    hear();
    vi.advanceTimersByTime(15 * SECOND);
    expect([pings.length, losses.length]).toEqual([3, 1]);
    vi.advanceTimersByTime(30 * SECOND);
    expect([pings.length, losses.length]).toEqual([4, 2]);
    stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([Infinity, 0x8000_0000])("with %d it never asks", (keepaliveMs) => {
    const { stop } = watching({ keepaliveMs });
    expect(vi.getTimerCount()).toBe(0);
    stop();
  });

  test("whenever bytes come: no peer is lost early, none is kept for long", () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 30 });
    const counts = fc.integer({ min: 2, max: 5 });
    fc.assert(fc.property(gaps, counts, (script, keepaliveCount) => {
      const limits = { keepaliveMs: 100, keepaliveCount };
      const { pings, losses, hear, stop } = watching(limits);
      for (const gap of script) {
        const before = pings.length;
        vi.advanceTimersByTime(gap);
        const lost = gap >= 100 * keepaliveCount;
        expect(losses).toHaveLength(lost ? 1 : 0);
        const silences = Math.floor(gap / 100);
        const asked = Math.min(silences, keepaliveCount - 1);
        expect(pings.length - before).toBe(asked);
        if (lost) return;
        hear();
      }
      stop();
    }));
  });
});

const types = (frames: readonly Frame[]) => frames.map(({ type }) => type);

/** A client of ours and a server played by hand, past the handshake. */
async function withPlayedServer(limits: Partial<Limits> = {}) {
  const [clientEnd, serverEnd] = pair();
  const peer = new RawPeer(serverEnd);
  const connecting = connect(clientEnd, { token: TOKEN, limits });
  await peer.admit();
  return { peer, session: await connecting };
}

/** A server of ours and a client played by hand, past the handshake. */
async function withPlayedClient(limits: Partial<Limits> = {}) {
  const [clientEnd, serverEnd] = pair();
  const server = serverOn(serverEnd, limits);
  const peer = new RawPeer(clientEnd);
  await peer.authenticate();
  return { peer, server };
}

const ping: Frame = {
  type: PING,
  stream: 0,
  channel: 0,
  payload: new Uint8Array(0),
};

describe("a session", () => {
  test("that is over before it has begun asks nobody", async () => {
    const [clientEnd, serverEnd] = pair();
    const peer = new RawPeer(serverEnd);
    const connecting = connect(clientEnd, { token: TOKEN });
    const goodbye = closeFrame("limit_exceeded", "Enough");
    await peer.admit({}, undefined, goodbye);
    const session = await connecting;
    await session.closed;
    await peer.end();
    await pass(5 * SECOND, SECOND);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("over which nothing goes stays, for both ends answer", async () => {
    const [clientEnd, serverEnd] = pair();
    const server = serverOn(serverEnd, { keepaliveMs: 10 * SECOND });
    const session = await connect(clientEnd, { token: TOKEN });
    let over = false;
    session.closed.then(() => over = true);
    await pass(600 * SECOND, 5 * SECOND);
    expect(over).toBe(false);
    await expect(session.output("x")).rejects.toMatchObject({
      code: "not_found",
    });
    await session.close();
    expect(await server.code()).toBe("closed");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("whose client has gone silent ends on the server", async () => {
    const { peer, server } = await withPlayedClient();
    const heard = peer.rest();
    await pass(44 * SECOND);
    expect(server.events.at(-1)).toMatchObject({ type: "authenticated" });
    await pass(3 * SECOND);
    expect(await server.code()).toBe("connection_lost");
    expect(server.events.at(-1)).toMatchObject({
      message: "Connection to client was lost: it has been silent for 45000 ms",
    });
    expect(types(await heard)).toEqual([PING, PING]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("whose server has gone silent ends on the client", async () => {
    const { peer, session } = await withPlayedServer({
      keepaliveMs: 4 * SECOND,
      keepaliveCount: 2,
    });
    const command = session.spawn("x");
    const status = command.status.catch((error) => error);
    await pass(10 * SECOND);
    const lost = {
      code: "connection_lost",
      message: expect.stringContaining("silent for 8000 ms"),
    };
    expect(await session.closed).toMatchObject(lost);
    expect(await status).toMatchObject(lost);
    await peer.drop();
  });

  test("is not asked while bytes come, whatever they are", async () => {
    const { peer, server } = await withPlayedClient();
    const hint = { ...ping, type: 200 };
    for (let i = 0; i < 30; i++) {
      await pass(10 * SECOND, 10 * SECOND);
      await peer.write(hint);
      await settle();
    }
    await peer.end();
    expect(types(await peer.rest())).toEqual([]);
    await server.over;
  });

  test("answers each PING, and takes PONG unasked", async () => {
    const pong = { ...ping, type: PONG };
    const { peer, server } = await withPlayedClient();
    const asked = peer.write(...Array<Frame>(1_000).fill(ping), pong, pong);
    for (let i = 0; i < 1_000; i++) {
      expect(await peer.expect(PONG)).toMatchObject({ channel: 0, stream: 0 });
    }
    await asked;
    await peer.drop();
    await server.over;
    const { peer: played, session } = await withPlayedServer();
    await played.write(pong, ping);
    await played.expect(PONG);
    await closing(session, played);
  });

  test("answers before the bulk that waits", async () => {
    const { peer, session } = await withPlayedServer();
    const child = session.spawn("cat", { stdin: "piped" });
    const writer = child.stdin.getWriter();
    writer.write(new Uint8Array(8_000_000)).catch(() => {});
    await peer.expect(FrameType.OPEN);
    const credit = new Uint8Array([0x7f, 0, 0, 0]);
    await peer.write(
      { ...ping, type: STARTED, channel: 1, payload: json({ pid: 1 }) },
      { ...ping, type: FrameType.CREDIT, channel: 1, payload: credit },
    );
    await peer.write(ping);
    let before = 0;
    for (let frame; (frame = await peer.next()) !== null;) {
      if (frame.type === PONG) break;
      before += frame.payload.byteLength;
    }
    expect(before).toBeGreaterThan(0);
    // What is in the pipe, a batch being sent, and perhaps one before PING came.
    expect(before).toBeLessThan(1_000_000);
    child.status.catch(() => {});
    await peer.drop();
    await session.closed;
  });
});

describe("a flood of PING that reads no answer", () => {
  test.each([65_536, 1_048_576])("ends at %d bytes of memory", async (max) => {
    const { peer, server } = await withPlayedClient({
      maxQueuedControlBytes: max,
    });
    let sent = 0;
    let over = false;
    server.over.then(() => over = true);
    while (!over && sent < 200_000) {
      await Promise.race([
        peer.write(...Array<Frame>(100).fill(ping)).catch(() => {}),
        server.over,
      ]);
      sent += 100;
      await settle();
      // Last words have a second.
      if (sent > max / 256) await pass(SECOND);
    }
    expect(await server.code()).toBe("limit_exceeded");
    // Each costs 256 bytes while it waits; what the pipe holds comes on top.
    expect(sent).toBeGreaterThanOrEqual(max / 256);
    expect(sent).toBeLessThan(max / 256 + 30_000);
    await peer.drop();
  });
});

function json(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

async function closing(session: Session, peer: RawPeer): Promise<void> {
  const closed = session.close();
  await peer.expect(FrameType.CLOSE);
  await peer.end();
  await closed;
}
