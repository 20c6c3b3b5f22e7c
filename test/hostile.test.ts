import { afterEach, beforeEach, expect, test } from "vitest";
import type { ErrorCode } from "../core/errors.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { CLIENT_PREFACE } from "../core/frame/preface.ts";
import type { Duplex } from "../core/ports.ts";
import { withFaults } from "./support/faults.ts";
import { type HeldTimers, holdTimers } from "./support/held_timers.ts";
import { checkLeaks, eventually, type LeakCheck } from "./support/leaks.ts";
import { heldBytes } from "./support/memory.ts";
import { jsonFrame, proofFrame, RawPeer } from "./support/raw_peer.ts";
import { type Serving, serving } from "./support/serving.ts";

const MIB = 1_048_576;
/** It comes when the test says so, else it is far. */
const DEADLINE_MS = 600_001;
const text = (string: string) => new TextEncoder().encode(string);

let served: Serving;
let noLeaks: LeakCheck;

let timers: HeldTimers;

beforeEach(async () => {
  timers = holdTimers(DEADLINE_MS);
  served = await serving({
    handshakeTimeoutMs: DEADLINE_MS,
    maxChannels: 10,
    maxQueuedControlBytes: 1_048_576,
    // 200 that are all let in, to see what they cost.
    earlyDropStart: 300,
  });
  await goodClient();
  served.events.length = served.spawned.length = 0;
  noLeaks = checkLeaks();
});

afterEach(async () => {
  using _timers = timers;
  await using _ = served;
  await noLeaks();
});

/** Counts the bytes that the server has done with, of those who come now. */
function countTaken(): () => number {
  let taken = 0;
  const accept = served.server.accept.bind(served.server);
  served.server.accept = (duplex) =>
    accept(withFaults(duplex, {
      async *reads(chunks) {
        for await (const chunk of chunks) {
          yield chunk;
          taken += chunk.byteLength;
        }
      },
    }));
  return () => taken;
}

/** Lets the deadline of so many connections pass, once the server has them. */
async function deadlineOf(count: number): Promise<void> {
  await eventually(
    () => timers.waiting(DEADLINE_MS) === count,
    () => `${timers.waiting(DEADLINE_MS)} connections have a deadline`,
  );
  timers.fire(DEADLINE_MS);
}

/** Someone who means well is served as ever. */
async function goodClient(): Promise<void> {
  await using session = await served.connect();
  const { stdout } = await session.output("echo", { args: ["hi"] });
  expect(new TextDecoder().decode(stdout)).toBe("hi\n");
}

/** The connection ended for one of these reasons, and nothing was run. */
async function refusedWith(...codes: ErrorCode[]): Promise<string> {
  const [end] = await served.untilDisconnected(1);
  expect(codes).toContain(end.code);
  expect(end.authenticated).toBe(false);
  expect(served.spawned).toEqual([]);
  await goodClient();
  return end.message;
}

const header = (length: number, type: number): Uint8Array => {
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setUint32(0, length);
  bytes[4] = type;
  return bytes;
};

async function drop(duplex: Duplex): Promise<void> {
  await Promise.allSettled([
    duplex.readable.cancel(),
    duplex.writable.abort(),
  ]);
}

async function write(duplex: Duplex, bytes: Uint8Array): Promise<void> {
  const writer = duplex.writable.getWriter();
  // The server may have hung up in the middle of it.
  await writer.write(bytes).catch(() => {});
  writer.releaseLock();
}

test.each([
  ["an HTTP request", text("POST /run HTTP/1.1\r\nHost: localhost\r\n\r\n{}")],
  ["a TLS handshake", Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3)],
  ["an ssh banner", text("SSH-2.0-OpenSSH_9.6\r\n")],
])("%s is recognised and refused", async (name, bytes) => {
  const peer = await served.dial();
  await write(peer, bytes);
  expect(await refusedWith("protocol_error")).toContain(name);
  await drop(peer);
});

test("random bytes are refused, with and without a preface before them", async () => {
  for (let round = 0; round < 4; round++) {
    served.events.length = served.spawned.length = 0;
    const peer = await served.dial();
    const bytes = crypto.getRandomValues(new Uint8Array(20_000));
    if (round % 2 === 1) await write(peer, CLIENT_PREFACE);
    else bytes[0] &= 0x7f;
    await write(peer, bytes);
    await refusedWith("protocol_error", "limit_exceeded");
    await drop(peer);
  }
});

test("who connects and says nothing is sent away at the deadline", async () => {
  const peer = await served.dial();
  await deadlineOf(1);
  expect(await refusedWith("timed_out")).toContain(`${DEADLINE_MS} ms`);
  await drop(peer);
});

test("who says half a frame and then nothing is sent away at the deadline", async () => {
  const taken = countTaken();
  const peer = new RawPeer(await served.dial());
  await peer.write(CLIENT_PREFACE, header(100, FrameType.HELLO), text("{"));
  await eventually(() => taken() === 8 + 10 + 1, () => `${taken()} are taken`);
  await deadlineOf(1);
  expect(await peer.closeCode()).toBe("timed_out");
  await refusedWith("timed_out");
  await peer.drop();
});

test("a byte now and then does not move the deadline", async () => {
  const taken = countTaken();
  const before = timers.set(DEADLINE_MS);
  const peer = await served.dial();
  for (let at = 0; at < 7; at++) {
    await write(peer, CLIENT_PREFACE.slice(at, at + 1));
    await eventually(() => taken() === at + 1, () => `${taken()} are taken`);
  }
  // One for the connection, and none for each byte.
  expect(timers.set(DEADLINE_MS) - before).toBe(1);
  await deadlineOf(1);
  await refusedWith("timed_out");
  await drop(peer);
});

test.each([FrameType.HELLO, FrameType.DATA, 200])(
  "a type %i frame that claims 4 GB is refused at its header",
  async (type) => {
    const before = await heldBytes();
    const peer = new RawPeer(await served.dial());
    await peer.write(CLIENT_PREFACE, header(0xffff_ffff, type));
    expect(await peer.closeCode()).toBe("limit_exceeded");
    expect(await refusedWith("limit_exceeded")).toContain("4294967295");
    expect(await heldBytes() - before).toBeLessThan(8 * MIB);
    await peer.drop();
  },
);

test("who hangs up in the middle of a handshake leaves nothing behind", async () => {
  for (let round = 0; round < 3; round++) {
    served.events.length = served.spawned.length = 0;
    const peer = new RawPeer(await served.dial());
    if (round > 0) await peer.write(CLIENT_PREFACE.subarray(0, 4 * round));
    if (round === 2) await peer.write(header(100, FrameType.HELLO));
    await peer.drop();
    await refusedWith("connection_lost", "protocol_error");
  }
});

test("200 connections that never authenticate are all sent away", async () => {
  const before = await heldBytes();
  const peers: Duplex[] = [];
  for (let i = 0; i < 200; i++) {
    const peer = await served.dial();
    peers.push(peer);
    if (i % 2 === 0) await write(peer, CLIENT_PREFACE);
  }
  await goodClient();
  await deadlineOf(200);
  const ends = (await served.untilDisconnected(201))
    .filter(({ authenticated }) => !authenticated);
  expect(ends.map(({ code }) => code)).toEqual(Array(200).fill("timed_out"));
  expect(served.spawned).toHaveLength(1);
  for (const peer of peers) await drop(peer);
  expect(await heldBytes() - before).toBeLessThan(16 * MIB);
});

/** A peer that has the token, and what it is told in the end. */
async function insider(frames: Frame[], bytes?: Uint8Array) {
  const peer = new RawPeer(await served.dial());
  await peer.authenticate();
  await peer.write(...frames, ...(bytes === undefined ? [] : [bytes]))
    .catch(() => {});
  return peer;
}

const open = (channel: number, ...argv: string[]) =>
  jsonFrame(FrameType.OPEN, { kind: "exec", argv }, channel);

test("garbage after the handshake ends the session, and its commands", async () => {
  const peer = await insider([open(1, "sleep", "100")]);
  await peer.expect(FrameType.STARTED);
  await peer.write(new Uint8Array(100).fill(0x7e));
  expect(await peer.closeCode()).toMatch(/protocol_error|limit_exceeded/);
  const [end] = await served.untilDisconnected(1);
  expect(end).toMatchObject({ authenticated: true });
  await goodClient();
  await peer.drop();
});

test("who does not hang up after CLOSE is hung up on", async () => {
  const peer = await insider([], new Uint8Array(100).fill(0x7e));
  await peer.expect(FrameType.CLOSE);
  let gone = false;
  await eventually(() => {
    peer.write(Uint8Array.of(0)).catch(() => gone = true);
    return gone;
  }, () => "writing fails");
  await served.untilDisconnected(1);
  await peer.drop();
});

test("a reset in the middle of a frame ends the session, and its commands", async () => {
  const peer = await insider([open(1, "sleep", "100")]);
  await peer.expect(FrameType.STARTED);
  await peer.write(header(1_000, FrameType.SIGNAL), text('{"signal"'));
  await peer.drop();
  const [end] = await served.untilDisconnected(1);
  expect(end).toMatchObject({ code: "connection_lost", authenticated: true });
  await goodClient();
});

test("more channels than the limit are refused one by one, and the session goes on", async () => {
  const peer = new RawPeer(await served.dial());
  await peer.authenticate();
  const channels = Array.from({ length: 30 }, (_, i) => 2 * i + 1);
  await peer.write(...channels.map((channel) => open(channel, "sleep", "100")));
  let started = 0;
  let refused = 0;
  while (started + refused < 30) {
    const frame = await peer.next();
    if (frame?.type === FrameType.STARTED) started++;
    if (frame?.type === FrameType.REFUSED) refused++;
    expect(frame).not.toBeNull();
  }
  expect([started, refused]).toEqual([10, 20]);
  expect(served.spawned).toHaveLength(10);
  await peer.drop();
  await served.untilDisconnected(1);
  await goodClient();
});

/** Frames that are each answered; the answers are never read. */
const QUESTIONS = {
  "for what we refuse": (from: number) =>
    Array.from(
      { length: 500 },
      (_, i) => jsonFrame(FrameType.OPEN, { kind: "x" }, from + 2 * i),
    ),
  "whether we are there": () =>
    Array<Frame>(500).fill({
      type: FrameType.PING,
      stream: 0,
      channel: 0,
      payload: new Uint8Array(0),
    }),
};

test.each(Object.entries(QUESTIONS))(
  "who asks and asks %s and never reads is cut off, at a bounded cost",
  async (_, questions) => {
    const before = await heldBytes();
    const duplex = await served.dial();
    const peer = new RawPeer(duplex);
    await peer.authenticate();
    let channel = 1;
    let writing = true;
    const flood = async () => {
      while (writing) {
        await peer.write(...questions(channel));
        channel += 1_000;
      }
    };
    const flooding = flood().catch(() => {});
    const [end] = await served.untilDisconnected(1);
    writing = false;
    expect(end.code).toBe("limit_exceeded");
    expect(end.message).toContain("does not read");
    await peer.drop();
    await flooding;
    expect(served.spawned).toEqual([]);
    await eventually(() => served.server.connectionCount === 0, () => "gone");
    served.events.length = 0;
    expect(await heldBytes() - before).toBeLessThan(16 * MIB);
    await goodClient();
  },
);

test("a stolen proof frame from another connection opens nothing", async () => {
  const first = new RawPeer(await served.dial());
  const { clientProof } = await first.greetServer();
  const second = new RawPeer(await served.dial());
  await second.greetServer();
  await second.write(proofFrame(clientProof), open(1, "true"));
  expect(await second.closeCode()).toBe("unauthenticated");
  await first.drop();
  await second.drop();
  await served.untilDisconnected(2);
  expect(served.spawned).toEqual([]);
});
