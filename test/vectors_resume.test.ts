import { afterEach, expect, test } from "vitest";
import { LimpetError } from "../core/errors.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { ResumableLink } from "../core/link/resumable_link.ts";
import type { Duplex } from "../core/ports.ts";
import { settle, useFakeTime } from "./support/fake_time.ts";
import { comparable, decode, fromHex, join, toHex } from "./support/frames.ts";
import { carrierOn } from "./support/linked.ts";
import { pair } from "./support/pair.ts";
import { resumeVectors } from "./support/vectors.ts";

const { cases } = resumeVectors;
const lost = new LimpetError("connection_lost", "Cut by the test");
const ping: Frame = {
  type: FrameType.PING,
  stream: 0,
  channel: 0,
  payload: new Uint8Array(0),
};

useFakeTime();

const ends: ResumableLink[] = [];
afterEach(() => {
  for (const link of ends.splice(0)) link.abort(lost);
});

/** A link, and the other end of the connection that it has at the moment. */
function linkTo() {
  const [ours, theirs] = pair();
  const frames: Frame[] = [];
  const link = new ResumableLink(carrierOn(ours), {
    maxReplayBytes: 1_000_000,
    onLost: () => {},
    onOver: () => {},
  });
  ends.push(link);
  link.keep(true);
  link.start({ frame: (frame) => void frames.push(frame), ended: () => {} });
  let peer = theirs;
  return {
    link,
    frames,
    peer: () => peer,
    /** Another connection, over which the peer has so many frames, and bytes. */
    reconnect(received: number, begun?: number) {
      link.lost(lost);
      const [ours, theirs] = pair();
      peer = theirs;
      link.attach(carrierOn(ours), received, begun);
    },
  };
}

async function write(duplex: Duplex, bytes: Uint8Array): Promise<void> {
  const writer = duplex.writable.getWriter();
  writer.write(bytes).catch(() => {});
  await settle();
}

/** What has come to an end of a connection, which nobody has read from. */
async function arrived(duplex: Duplex): Promise<Uint8Array> {
  const reader = duplex.readable.getReader();
  const chunks: Uint8Array[] = [];
  const reading = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      chunks.push(value);
    }
  })();
  reading.catch(() => {});
  await settle();
  return join(chunks);
}

const isNumbered = ({ type }: Frame) => type !== FrameType.ACK;

test.each(cases)("$name: what has come is known, and comes once", async ({
  hex,
  acknowledges,
  cuts,
}) => {
  const bytes = fromHex(hex);
  const whole = decode([bytes]).filter(isNumbered);
  for (const { bytes: count, received, again, then } of cuts) {
    const { link, frames, peer, reconnect } = linkTo();
    await link.send(Array(acknowledges).fill(ping));
    await write(peer(), bytes.subarray(0, count));
    expect(link.received).toBe(received);
    reconnect(acknowledges);
    await write(peer(), fromHex(again).subarray(0, then.bytes));
    expect(link.received).toBe(then.received);
    reconnect(acknowledges);
    const rest = whole.slice(then.received);
    const rests = cuts.find((cut) => cut.received === then.received);
    expect(rests === undefined).toBe(false);
    await write(peer(), fromHex(rests!.again));
    expect(link.received).toBe(then.received + rest.length);
    expect(comparable(frames)).toEqual(comparable(whole));
  }
});

test.each(cases)("$name: what has come of a frame need not come again", async ({
  hex,
  acknowledges,
  cuts,
}) => {
  const bytes = fromHex(hex);
  const whole = decode([bytes]).filter(isNumbered);
  for (const { bytes: count, received, begun, rest } of cuts) {
    const { link, frames, peer, reconnect } = linkTo();
    await link.send(Array(acknowledges).fill(ping));
    await write(peer(), bytes.subarray(0, count));
    expect([link.received, link.begun]).toEqual([received, begun]);
    reconnect(acknowledges, 0);
    await write(peer(), fromHex(rest));
    expect([link.received, link.begun]).toEqual([whole.length, 0]);
    expect(comparable(frames)).toEqual(comparable(whole));
  }
});

test.each(cases)("$name: what has not come is sent again", async ({
  hex,
  cuts,
}) => {
  const frames = decode([fromHex(hex)]).filter(isNumbered);
  for (const { received, again, begun, rest } of cuts) {
    const { link, peer, reconnect } = linkTo();
    const first = arrived(peer());
    await link.send(frames);
    expect(toHex(await first)).toBe(cuts[0].again);
    reconnect(received);
    expect(toHex(await arrived(peer()))).toBe(again);
    reconnect(received, begun);
    expect(toHex(await arrived(peer()))).toBe(rest);
  }
});
