import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Frame,
  FrameType,
  KEPT_FRAME_BYTES,
} from "../core/frame/frame.ts";
import { ackFrame, readAck } from "../core/link/ack.ts";
import { backoffMs } from "../core/link/backoff.ts";
import { ByteRing } from "../core/link/byte_ring.ts";
import { ACK_BYTES, Receipt } from "../core/link/receipt.ts";
import { ReplayBuffer } from "../core/link/replay_buffer.ts";
import { Memory, Share } from "../core/memory.ts";
import { Decoder } from "../core/frame/decoder.ts";
import {
  anyFrame,
  bytesOf,
  comparable,
  cutAt,
  toHex,
} from "./support/frames.ts";

const data = (bytes: number, channel = 1): Frame => ({
  type: FrameType.DATA,
  stream: 1,
  channel,
  payload: new Uint8Array(bytes),
});

const protocolError = (message: RegExp) =>
  expect.objectContaining({
    code: "protocol_error",
    message: expect.stringMatching(message),
  });

describe("what was sent and not acknowledged", () => {
  test("is what was pushed, in its numbers, whatever is acknowledged when", () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ push: anyFrame }),
        fc.record({ ack: fc.nat({ max: 5 }) }),
      ),
      { maxLength: 60 },
    );
    fc.assert(fc.property(steps, (script) => {
      const buffer = new ReplayBuffer({ maxReplayBytes: Infinity });
      const model: Frame[] = [];
      let acknowledged = 0;
      for (const step of script) {
        if ("push" in step) {
          expect(buffer.push(step.push)).toBe(true);
          model.push(step.push);
        } else {
          acknowledged = Math.min(model.length, acknowledged + step.ack);
          buffer.acknowledge(acknowledged, model.length);
        }
        expect(buffer.pushed).toBe(model.length);
        expect(buffer.acknowledged).toBe(acknowledged);
        const kept = model.slice(acknowledged);
        expect(kept.map((_, i) => buffer.at(acknowledged + i))).toEqual(kept);
        expect(buffer.at(model.length)).toBeUndefined();
        expect(buffer.byteLength).toBe(kept.reduce(
          (sum, { payload }) => sum + payload.byteLength + KEPT_FRAME_BYTES,
          0,
        ));
      }
    }));
  });

  test("is a copy: the sender's buffer is its own again", () => {
    const buffer = new ReplayBuffer({ maxReplayBytes: 1_000 });
    const frame = data(3);
    buffer.push(frame);
    frame.payload.fill(7);
    expect(toHex(buffer.at(0)!.payload)).toBe("000000");
  });

  test("lies where it fits, over what is acknowledged and nothing else", () => {
    const steps = fc.array(
      fc.record({ bytes: fc.nat({ max: 9_000 }), acknowledged: fc.nat(3) }),
      { maxLength: 200 },
    );
    fc.assert(fc.property(steps, (script) => {
      const ring = new ByteRing();
      const kept: { copy: Uint8Array; value: number }[] = [];
      const places = new Set<ArrayBufferLike>();
      let most = 0;
      for (const [i, { bytes, acknowledged }] of script.entries()) {
        const value = i % 251;
        const copy = ring.copy(
          new Uint8Array(bytes).fill(value),
          kept[0]?.copy,
        );
        kept.push({ copy, value });
        places.add(copy.buffer);
        most = Math.max(
          most,
          kept.reduce((sum, { copy }) => sum + copy.byteLength + 1, 0),
        );
        for (const { copy, value } of kept) {
          expect(copy.every((byte) => byte === value)).toBe(true);
        }
        kept.splice(0, acknowledged);
        if (kept.length === 0) ring.clear();
      }
      // It grows with what is kept, and not with what has been.
      const largest = Math.max(
        0,
        ...[...places].map((each) => each.byteLength),
      );
      expect(largest).toBeLessThanOrEqual(Math.max(4_096, 4 * most + 18_000));
    }));
  });

  test("takes no new memory for what goes round", () => {
    const ring = new ByteRing();
    const bytes = new Uint8Array(60_000);
    const kept: Uint8Array[] = [];
    const places = new Set<ArrayBufferLike>();
    for (let i = 0; i < 1_000; i++) {
      kept.push(ring.copy(bytes, kept[0]));
      places.add(kept.at(-1)!.buffer);
      if (kept.length > 8) kept.splice(0, 4);
    }
    expect(places.size).toBeLessThan(8);
  });

  test("keeps its memory as long as much goes through it, and not longer", () => {
    const ring = new ByteRing();
    const bytes = new Uint8Array(60_000);
    const places = new Set<ArrayBufferLike>();
    for (let often = 0; often < 20; often++) {
      const kept: Uint8Array[] = [];
      for (let i = 0; i < 30; i++) kept.push(ring.copy(bytes, kept[0]));
      // Not the first two: until then it has grown.
      if (often > 1) places.add(kept.at(-1)!.buffer);
      // All of it was acknowledged, as now and then in the middle of bulk.
      ring.clear();
    }
    expect(places.size).toBe(1);
    // A sign of life, which is acknowledged too.
    ring.copy(new Uint8Array(0), undefined);
    ring.clear();
    expect(ring.copy(bytes, undefined).buffer.byteLength).toBeLessThan(100_000);
  });

  test("is the frame itself if it is nobody else's, and fills its memory", () => {
    const options = { maxReplayBytes: Infinity, owned: true };
    const buffer = new ReplayBuffer(options);
    const half = data(10).payload.subarray(0, 5);
    const less = data(10).payload.subarray(0, 4);
    buffer.push({ ...data(0), payload: half });
    buffer.push({ ...data(0), payload: less });
    expect(buffer.at(0)!.payload).toBe(half);
    expect(buffer.at(1)!.payload.buffer.byteLength).toBe(4);
  });

  test("stays within its bound, at the limit and not one byte past it", () => {
    const cost = 100 + KEPT_FRAME_BYTES;
    const buffer = new ReplayBuffer({ maxReplayBytes: 2 * cost });
    expect(buffer.push(data(100))).toBe(true);
    expect(buffer.push(data(101))).toBe(false);
    expect(buffer.push(data(100))).toBe(true);
    expect(buffer.push(data(0))).toBe(false);
    expect([buffer.pushed, buffer.byteLength]).toEqual([2, 2 * cost]);
    buffer.acknowledge(1, 2);
    expect(buffer.push(data(100))).toBe(true);
  });

  test("takes one frame above its bound: it is held up, not stuck", () => {
    const buffer = new ReplayBuffer({ maxReplayBytes: 100 });
    expect(buffer.push(data(5_000))).toBe(true);
    expect(buffer.push(data(1))).toBe(false);
    buffer.acknowledge(1, 1);
    expect(buffer.push(data(5_000))).toBe(true);
  });

  test("counts in the memory of all, and gives it back", () => {
    const memory = new Memory("maxTotalBufferedBytes", 10_000);
    const share = new Share(memory, 1_000);
    const buffer = new ReplayBuffer({
      maxReplayBytes: 100_000,
      hold: share,
    });
    expect(buffer.push(data(10_000))).toBe(true);
    expect(memory.held).toBe(10_000 + KEPT_FRAME_BYTES - 1_000);
    expect(buffer.push(data(10_000))).toBe(false);
    expect(memory.held).toBe(10_000 + KEPT_FRAME_BYTES - 1_000);
    buffer.acknowledge(1, 1);
    expect(memory.held).toBe(0);
    // What others hold holds up one that has something already, and no other.
    memory.take(10_000);
    expect(buffer.push(data(20_000))).toBe(true);
    expect(buffer.push(data(1))).toBe(false);
    buffer.clear();
    expect([memory.held, buffer.byteLength]).toEqual([10_000, 0]);
  });

  test("a peer cannot have what it was not sent, nor lose what it had", () => {
    const buffer = new ReplayBuffer({ maxReplayBytes: Infinity });
    for (let i = 0; i < 5; i++) buffer.push(data(i));
    buffer.acknowledge(3, 4);
    expect(() => buffer.acknowledge(5, 4)).toThrow(
      protocolError(/received 5 frames, after 3, and was sent 4$/),
    );
    expect(() => buffer.acknowledge(2, 4)).toThrow(
      protocolError(/received 2 frames, after 3/),
    );
    expect([buffer.acknowledged, buffer.pushed]).toEqual([3, 5]);
  });
});

describe("what has come", () => {
  /** What a decoder gives out of these bytes, cut there. */
  function* pieces(frames: readonly Frame[], cuts: number[]) {
    const decoder = new Decoder(1_000);
    for (const chunk of cutAt(bytesOf(...frames), cuts)) {
      decoder.push(chunk);
      for (let frame; (frame = decoder.next()) !== undefined;) {
        yield { frame, whole: decoder.whole };
      }
    }
  }

  test("is every byte once and in order, however often it is begun again", () => {
    const script = fc.record({
      frames: fc.array(anyFrame, { minLength: 1, maxLength: 6 }),
      // Of each connection: where its reads end, and after how many it is lost.
      connections: fc.array(
        fc.record({
          cuts: fc.array(fc.nat({ max: 900 }), { maxLength: 8 }),
          reads: fc.nat({ max: 12 }),
          inside: fc.boolean(),
        }),
        { maxLength: 5 },
      ),
    });
    fc.assert(fc.property(script, ({ frames, connections }) => {
      const receipt = new Receipt();
      const got: Frame[] = [];
      for (
        const { cuts, reads, inside } of [...connections, null].map((c) =>
          c ?? { cuts: [], reads: Infinity, inside: true }
        )
      ) {
        let left = reads;
        receipt.rewind(inside);
        const [next, ...later] = frames.slice(receipt.received);
        if (next === undefined) break;
        const payload = next.payload.subarray(inside ? receipt.begun : 0);
        const sent = [{ ...next, payload }, ...later];
        for (const { frame, whole } of pieces(sent, cuts)) {
          if (left-- <= 0) break;
          const fresh = receipt.take(frame, whole);
          if (fresh !== null) got.push(fresh);
        }
      }
      expect(receipt.received).toBe(frames.length);
      expect(comparable(got)).toEqual(comparable(frames));
    }));
  });

  test("is owed at once, and due after so many bytes and not one before", () => {
    const receipt = new Receipt();
    expect([receipt.isOwed, receipt.isDue]).toEqual([false, false]);
    receipt.take(data(ACK_BYTES - 2 * KEPT_FRAME_BYTES - 1), true);
    expect([receipt.isOwed, receipt.isDue]).toEqual([true, false]);
    receipt.take(data(0), true);
    expect(receipt.isDue).toBe(false);
    receipt.take(data(1), false);
    expect(receipt.isDue).toBe(false);
    receipt.take(data(0), true);
    expect(receipt.isDue).toBe(true);
    expect(receipt.acknowledge()).toBe(3);
    expect([receipt.isOwed, receipt.isDue]).toEqual([false, false]);
  });

  test.each([
    ["another stream's", { ...data(9), stream: 2 }, true],
    ["another channel's", data(9, 3), true],
    ["a control frame", { ...data(9), type: FrameType.END }, true],
    ["one that ends sooner", data(4), true],
  ])("a frame that was begun cannot go on as %s", (_, again, whole) => {
    const receipt = new Receipt();
    receipt.take(data(5), false);
    receipt.rewind(false);
    expect(() => receipt.take(again, whole)).toThrow(
      protocolError(/in place of the DATA on channel 1 that it had begun$/),
    );
  });
});

describe("an ACK", () => {
  test("says its number, however large", () => {
    const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    fc.assert(fc.property(count, (n) => {
      expect(readAck(ackFrame(n))).toBe(n);
    }));
    expect(toHex(bytesOf(ackFrame(0x1_2345_6789)))).toBe(
      "00000008070000000000" + "0000000123456789",
    );
    const most = new Uint8Array(8).fill(0xff);
    expect(readAck({ ...ackFrame(0), payload: most })).toBe(2 ** 64);
  });

  test.each([
    { payload: new Uint8Array(7) },
    { payload: new Uint8Array(9) },
    { channel: 1 },
    { stream: 1 },
  ])("is malformed with %j", (wrong) => {
    expect(() => readAck({ ...ackFrame(1), ...wrong })).toThrow(
      protocolError(/^Peer sent an ACK of/),
    );
  });
});

test("attempts come later and later, by chance, and the first one at once", () => {
  const most = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((n) => backoffMs(n, () => 1));
  expect(most).toEqual([0, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
  expect(backoffMs(4, () => 0.25)).toBe(250);
  expect(backoffMs(9, () => 0)).toBe(0);
});
