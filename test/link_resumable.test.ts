import { afterEach, describe, expect, test } from "vitest";
import { LimpetError } from "../core/errors.ts";
import {
  type Frame,
  FrameType,
  KEPT_FRAME_BYTES,
} from "../core/frame/frame.ts";
import { ackFrame, readAck } from "../core/link/ack.ts";
import { ACK_BYTES } from "../core/link/receipt.ts";
import {
  ACK_DELAY_MS,
  ResumableLink,
  type ResumableOptions,
} from "../core/link/resumable_link.ts";
import { Memory, Share } from "../core/memory.ts";
import { pass, settle, useFakeTime } from "./support/fake_time.ts";
import { bytesOf, decode } from "./support/frames.ts";
import { carrierOn, linked, logOf, textOf } from "./support/linked.ts";
import { pair } from "./support/pair.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";

const { ACK, CLOSE, DATA, PING } = FrameType;

useFakeTime();

const data = (text: string, channel = 1): Frame => ({
  type: DATA,
  stream: 1,
  channel,
  payload: new TextEncoder().encode(text),
});
const ping: Frame = { ...data("", 0), type: PING, stream: 0 };
const close = jsonFrame(CLOSE, { code: "closed", message: "Bye" });
const lost = new LimpetError("connection_lost", "Cut by the test");

const ends: ResumableLink[] = [];
afterEach(() => {
  for (const link of ends.splice(0)) link.abort(lost);
});

/** A link with a peer by hand, and another connection to it when it is asked. */
function linkTo(options: Partial<ResumableOptions> = {}, kept = true) {
  const said = {
    log: "",
    ended: undefined as LimpetError | null | undefined,
    losses: [] as LimpetError[],
    over: 0,
  };
  const [ours, theirs] = pair();
  const link = new ResumableLink(carrierOn(ours), {
    maxReplayBytes: 1_000_000,
    onLost: (error) => said.losses.push(error),
    onOver: () => said.over++,
    ...options,
  });
  ends.push(link);
  link.keep(kept);
  link.start({
    frame: (frame) => void (said.log += textOf(frame)),
    ended: (error) => said.ended = error,
  });
  const reconnect = (received: number, begun?: number) => {
    const [ours, theirs] = pair();
    const peer = frameReader(theirs);
    link.attach(carrierOn(ours), received, begun);
    return peer;
  };
  return { link, said, peer: frameReader(theirs), reconnect };
}

/** A peer that writes what it is told, and keeps what it reads. */
function frameReader(duplex: ReturnType<typeof pair>[0]) {
  const raw = new RawPeer({
    readable: new ReadableStream(),
    writable: duplex.writable,
  });
  const chunks: Uint8Array[] = [];
  (async () => {
    const reader = duplex.readable.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({
        done: true,
        value: undefined,
      }));
      if (done || value === undefined) return;
      chunks.push(value);
    }
  })();
  return {
    write: (...parts: (Frame | Uint8Array)[]) => raw.write(...parts),
    end: () => raw.end(),
    drop: () => raw.drop(),
    frames: () => decode(chunks),
    log: () => logOf(decode(chunks).filter(({ type }) => type !== ACK)),
    acks: () => decode(chunks).filter(({ type }) => type === ACK).map(readAck),
  };
}

describe("a sender", () => {
  test("goes on without a connection until the buffer is full, then waits", async () => {
    const cost = KEPT_FRAME_BYTES + 1;
    const { link, reconnect } = linkTo({ maxReplayBytes: 3 * cost });
    link.lost(lost);
    await link.send([data("a"), data("b")]);
    await link.send([data("c")]);
    let sent = 0;
    const fourth = link.send([data("d")]).then(() => sent++);
    await settle();
    expect([sent, link.suspended]).toEqual([0, true]);
    const peer = reconnect(0);
    await settle();
    expect([sent, peer.log()]).toEqual([0, logOf([data("abc")])]);
    await peer.write(ackFrame(1));
    await fourth;
    await settle();
    expect(peer.log()).toBe(logOf([data("abcd")]));
  });

  test("waits as well when others have the memory, and gives its own back", async () => {
    const memory = new Memory("maxTotalBufferedBytes", 1_000);
    const hold = new Share(memory, 0);
    const { link, peer } = linkTo({ hold });
    await link.send([data("x".repeat(700))]);
    let sent = 0;
    const second = link.send([data("y")]).then(() => sent++);
    await settle();
    expect([sent, memory.held]).toEqual([0, 700 + KEPT_FRAME_BYTES]);
    await peer.write(ackFrame(1));
    await second;
    expect(memory.held).toBe(1 + KEPT_FRAME_BYTES);
    link.abort(lost);
    expect(memory.held).toBe(0);
  });

  test("that waits is let go when the link is over", async () => {
    const { link } = linkTo({ maxReplayBytes: 1 });
    link.lost(lost);
    await link.send([data("a")]);
    const waiting = link.send([data("b")]);
    link.abort(lost);
    await expect(waiting).rejects.toBe(lost);
    await expect(link.send([data("c")])).rejects.toBe(lost);
  });

  test("may reuse its memory as soon as it is told", async () => {
    const { link, reconnect } = linkTo();
    const frame = data("before");
    await link.send([frame]);
    frame.payload.fill(0x21);
    link.lost(lost);
    const peer = reconnect(0);
    await settle();
    expect(peer.log()).toBe(logOf([data("before")]));
  });
});

describe("what has come is acknowledged", () => {
  test("once, after a moment, if nothing else leaves", async () => {
    const { peer } = linkTo();
    await peer.write(data("a"), data("b"));
    await settle();
    expect(peer.acks()).toEqual([]);
    await pass(ACK_DELAY_MS, 10);
    expect(peer.acks()).toEqual([2]);
    await pass(10 * ACK_DELAY_MS, 10);
    expect(peer.acks()).toEqual([2]);
  });

  test("with what leaves anyway", async () => {
    const { link, peer } = linkTo();
    await peer.write(data("a"));
    await settle();
    await link.send([ping]);
    await settle();
    expect(peer.frames().map(({ type }) => type)).toEqual([PING, ACK]);
    await pass(ACK_DELAY_MS, 10);
    expect(peer.acks()).toEqual([1]);
  });

  test("at once when it is much", async () => {
    const { peer } = linkTo();
    for (let bytes = 0; bytes < ACK_BYTES; bytes += 60_000) {
      await peer.write(data("x".repeat(60_000)));
    }
    await settle();
    expect(peer.acks()).toEqual([9]);
  });

  test("but not behind a goodbye, which is the last word", async () => {
    const { link, peer } = linkTo();
    await peer.write(data("a"));
    await settle();
    await link.send([close]);
    await peer.write(data("b"));
    await pass(10 * ACK_DELAY_MS, 10);
    expect(peer.frames().map(({ type }) => type)).toEqual([CLOSE]);
  });

  test("not while there is no connection, nor again after it", async () => {
    const { link, peer, reconnect } = linkTo();
    await peer.write(data("a"));
    await settle();
    link.lost(lost);
    await pass(10 * ACK_DELAY_MS, 10);
    const second = reconnect(0);
    await pass(10 * ACK_DELAY_MS, 10);
    // The handshake has told.
    expect([link.received, second.acks()]).toEqual([1, []]);
  });
});

describe("a connection that was lost", () => {
  test.each([
    ["reset", "drop" as const, /writer has gone/],
    ["ended", "end" as const, /ended without a goodbye/],
  ])("by being %s is told of once, and the link stays", async (_, how, why) => {
    const { said, peer, link } = linkTo();
    await peer[how]();
    await settle();
    expect(said.losses).toHaveLength(1);
    expect(said.losses[0]).toMatchObject({ code: "connection_lost" });
    expect(said.losses[0].message).toMatch(why);
    expect([said.ended, said.over, link.suspended])
      .toEqual([undefined, 0, true]);
  });

  test("by silence is dropped", async () => {
    const { said, link, peer } = linkTo();
    link.lost(lost);
    await expect(peer.write(data("a"))).rejects.toMatchObject({
      code: "connection_lost",
    });
    expect([said.losses, said.log]).toEqual([[lost], ""]);
    // No connection is not a silent one.
    await pass(5_000);
    expect(performance.now() - link.heardAt).toBeLessThan(1);
  });

  test("delivers nothing once there is another one", async () => {
    const { link, said, peer, reconnect } = linkTo();
    await peer.write(data("a"));
    await settle();
    const late = peer.write(data("b")).catch(() => {});
    const second = reconnect(0);
    await late;
    await peer.write(data("c")).catch(() => {});
    await second.write(data("b"));
    await settle();
    expect(said.log).toBe(logOf([data("ab")]));
    expect([said.losses, link.received]).toEqual([[], 2]);
  });

  test("in the middle of a frame goes on with the rest of that frame", async () => {
    const { said, link, peer, reconnect } = linkTo();
    const whole = bytesOf(data("abcdef"));
    await peer.write(whole.subarray(0, whole.byteLength - 3));
    await settle();
    expect(said.log).toBe(logOf([data("abc")]));
    await peer.drop();
    await settle();
    expect(link.received).toBe(0);
    const second = reconnect(0);
    await second.write(whole, data("g"));
    await settle();
    expect(said.log).toBe(logOf([data("abcdefg")]));
    expect(link.received).toBe(2);
  });

  test("is gone on from in the middle of a frame, each way", async () => {
    const { said, link, peer, reconnect } = linkTo();
    const whole = bytesOf(data("abcdef"));
    await link.send([data("uvwxyz"), data("!")]);
    await peer.write(whole.subarray(0, whole.byteLength - 3));
    await peer.drop();
    await settle();
    expect([link.received, link.begun]).toEqual([0, 3]);
    const second = reconnect(0, 2);
    await second.write(data("def"));
    await settle();
    expect(second.log()).toBe(logOf([data("wxyz!")]));
    expect([link.received, link.begun]).toEqual([1, 0]);
    expect(said.log).toBe(logOf([data("abcdef")]));
  });
});

describe("the link is over", () => {
  test("with a goodbye from the peer, whatever becomes of the connection", async () => {
    const { said, peer } = linkTo();
    await peer.write(close);
    await settle();
    await peer.drop();
    await settle();
    expect(said.losses).toEqual([]);
    expect(said.ended).toMatchObject({ code: "connection_lost" });
  });

  test("with our goodbye", async () => {
    const { said, peer, link } = linkTo();
    await link.send([close]);
    await peer.end();
    await settle();
    expect([said.losses, said.ended]).toEqual([[], null]);
  });

  test("at once when it is closed without a connection", async () => {
    const { said, link } = linkTo();
    link.lost(lost);
    await link.close();
    expect([said.over, said.ended]).toEqual([1, undefined]);
  });

  test("when nobody finds another connection", () => {
    const { said, link } = linkTo();
    link.lost(lost);
    link.end(lost);
    expect(said.ended).toBe(lost);
  });

  test.each([
    ["of more than was sent", ackFrame(3)],
    ["of a number that no link reaches", {
      ...ackFrame(0),
      payload: new Uint8Array(8).fill(0xff),
    }],
    ["that goes back", ackFrame(0)],
    ["on a channel", { ...ackFrame(1), channel: 1 }],
  ])("with an ACK %s", async (_, wrong) => {
    const { said, link, peer } = linkTo();
    await link.send([data("a"), data("b")]);
    await peer.write(ackFrame(1));
    await peer.write(wrong);
    await settle();
    expect(said.ended).toMatchObject({ code: "protocol_error" });
    expect(said.losses).toEqual([]);
    // It can still say why.
    await link.send([close]);
    await settle();
    expect(peer.log()).toBe(logOf([data("ab"), close]));
  });
});

test("a peer can go on only from what it may have received", async () => {
  const { link, peer, reconnect } = linkTo();
  await link.send([data("a"), data("b"), data("c")]);
  await peer.write(ackFrame(2));
  await settle();
  link.lost(lost);
  await link.send([data("d")]);
  for (const received of [2, 3]) link.checkReceived(received);
  for (const received of [1, 4]) {
    const wrong = expect.objectContaining({ code: "protocol_error" });
    expect(() => link.checkReceived(received)).toThrow(wrong);
    expect(() => reconnect(received)).toThrow(wrong);
  }
  for (const [received, begun] of [[2, 1], [2, 2], [3, 1]]) {
    const wrong = expect.objectContaining({ code: "protocol_error" });
    expect(() => link.checkReceived(received, begun)).toThrow(wrong);
    expect(() => reconnect(received, begun)).toThrow(wrong);
  }
  const second = reconnect(3);
  await settle();
  expect(second.log()).toBe(logOf([data("d")]));
});

test("a peer that does not keep sessions has a plain link", async () => {
  const { said, link, peer } = linkTo({ maxReplayBytes: 1_000 }, false);
  for (let i = 0; i < 5; i++) await link.send([data("x".repeat(900))]);
  await settle();
  expect(peer.log().length).toBe(2 * 4_500);
  await peer.write(data("a"), ackFrame(1));
  await pass(10 * ACK_DELAY_MS, 10);
  expect(said.log).toBe(logOf([data("a"), ackFrame(1)]));
  expect(peer.acks()).toEqual([]);
  await peer.drop();
  await settle();
  expect(said.losses).toEqual([]);
  expect(said.ended).toMatchObject({ code: "connection_lost" });
});

test("megabytes each way through small buffers, cut again and again", async () => {
  const cuts = Array.from({ length: 20 }, (_, i) => ({
    from: i % 2 === 0 ? "a" as const : "b" as const,
    bytes: 20_000 + i * 1_777,
  }));
  const chunk = "0123456789".repeat(500);
  const { a, b, connections, close } = linked(cuts, { maxReplayBytes: 30_000 });
  const say = async ({ link }: typeof a, start: number) => {
    for (let i = 0; i < 200; i++) await link.send([data(chunk + (start + i))]);
  };
  let said = 0;
  for (const [end, start] of [[a, 0], [b, 1_000]] as const) {
    say(end, start).then(() => said++);
  }
  // The moments in which acknowledgements wait for company are all there is to
  // wait for.
  while (said < 2) await pass(ACK_DELAY_MS, 50);
  await pass(ACK_DELAY_MS, 50);
  const all = (start: number) =>
    logOf(Array.from({ length: 200 }, (_, i) => data(chunk + (start + i))));
  expect(a.log === all(1_000)).toBe(true);
  expect(b.log === all(0)).toBe(true);
  expect(connections()).toBe(21);
  close();
});
