import fc from "fast-check";
import { expect, test } from "vitest";
import { LimpetError } from "../core/errors.ts";
import { Decoder } from "../core/frame/decoder.ts";
import {
  encodeFrame,
  encodeFrames,
  type Frame,
  FrameType,
  HEADER_BYTES,
} from "../core/frame/frame.ts";
import {
  anyCuts,
  anyFrame,
  bytesOf,
  comparable,
  cutAt,
  decode,
  EVERY_TYPE,
  join,
} from "./support/frames.ts";

function header(length: number, type: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  new DataView(bytes.buffer).setUint32(0, length);
  bytes[4] = type;
  return bytes;
}

/** What the decoder throws for these chunks. */
function failure(limit: number, ...chunks: Uint8Array[]): LimpetError {
  try {
    decode(chunks, new Decoder(limit));
  } catch (error) {
    if (error instanceof LimpetError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown");
}

const payloadOf = (length: number, type: number): Frame => ({
  type,
  stream: 1,
  channel: 7,
  payload: Uint8Array.from({ length }, (_, i) => i & 0xff),
});

const whole = bytesOf(...EVERY_TYPE);
const expected = comparable(EVERY_TYPE);

test("the header is laid out as the protocol says", () => {
  const frame = {
    type: 19,
    stream: 2,
    channel: 0x01020304,
    payload: Uint8Array.of(0xaa, 0xbb),
  };
  expect([...encodeFrame(frame)]).toEqual(
    [0, 0, 0, 2, 19, 2, 1, 2, 3, 4, 0xaa, 0xbb],
  );
  expect(bytesOf(frame)).toEqual(encodeFrame(frame));
});

test("every frame type survives a cut at every position", () => {
  for (let at = 0; at <= whole.byteLength; at++) {
    const frames = decode(cutAt(whole, [at]));
    expect(comparable(frames), `cut at ${at}`).toEqual(expected);
  }
});

test("every frame type survives arriving byte by byte", () => {
  const bytes = cutAt(whole, [...whole.keys()]);
  expect(comparable(decode(bytes))).toEqual(expected);
});

test("decoding is the inverse of encoding, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(anyFrame), anyCuts, (frames, cuts) => {
      const decoder = new Decoder(300);
      const decoded = decode(cutAt(bytesOf(...frames), cuts), decoder);
      expect(comparable(decoded)).toEqual(comparable(frames));
      decoder.end();
    }),
    { numRuns: 300 },
  );
});

test("encoding is the inverse of decoding", () => {
  fc.assert(fc.property(fc.array(anyFrame), (frames) => {
    const bytes = bytesOf(...frames);
    expect(bytesOf(...decode([bytes]))).toEqual(bytes);
  }));
});

test("only DATA comes in pieces, and their bytes are all of it", () => {
  for (const type of Object.values(FrameType)) {
    const frame = payloadOf(50, type);
    const bytes = bytesOf(frame);
    const frames = decode(cutAt(bytes, [...bytes.keys()]));
    expect(frames).toHaveLength(type === FrameType.DATA ? 50 : 1);
    expect(join(frames.map(({ payload }) => payload))).toEqual(frame.payload);
  }
});

test("payloads are views of the bytes that came, not copies", () => {
  for (const frame of decode([whole])) {
    if (frame.payload.byteLength === 0) continue;
    expect(frame.payload.buffer).toBe(whole.buffer);
  }
  // DATA even when it is cut.
  const bytes = bytesOf(payloadOf(50, FrameType.DATA));
  const [first, second] = decode(cutAt(bytes, [30]));
  expect(first.payload.buffer).toBe(bytes.buffer);
  expect(first.payload.byteOffset).toBe(HEADER_BYTES);
  expect(second.payload.buffer).toBe(bytes.buffer);
  expect(second.payload.byteOffset).toBe(30);
});

test("encoding leaves payloads where they lie in memory", () => {
  const frames = EVERY_TYPE.filter(({ payload }) => payload.byteLength > 0);
  const chunks = encodeFrames(frames);
  expect(chunks).toHaveLength(2 * frames.length);
  frames.forEach(({ payload }, i) => expect(chunks[2 * i + 1]).toBe(payload));
});

test.each([FrameType.OPEN, FrameType.DATA])(
  "a type %i frame at exactly the limit passes, one more byte is refused",
  (type) => {
    const frame = payloadOf(1_024, type);
    const decoded = decode([bytesOf(frame)], new Decoder(1_024));
    expect(comparable(decoded)).toEqual(comparable([frame]));
    const error = failure(1_023, bytesOf(frame));
    expect(error.code).toBe("limit_exceeded");
    expect(error.message).toContain("1024 bytes, over the limit of 1023");
  },
);

test.each([FrameType.OPEN, FrameType.DATA, 200])(
  "a type %i frame that claims 4 GB is refused at its header, with nothing allocated",
  (type) => {
    const claim = header(0xffff_ffff, type);
    const allocated: unknown[] = [];
    const { Uint8Array: real } = globalThis;
    const decoder = new Decoder(65_536);
    let thrown: unknown;
    globalThis.Uint8Array = class extends real {
      constructor(...args: unknown[]) {
        super(...args as [number]);
        allocated.push(args[0]);
      }
    } as typeof Uint8Array;
    try {
      decoder.push(claim);
      decoder.next();
    } catch (error) {
      thrown = error;
    } finally {
      globalThis.Uint8Array = real;
    }
    expect(thrown).toMatchObject({ code: "limit_exceeded" });
    expect(allocated).toEqual([]);
    // Nine bytes are not enough to tell, the tenth is.
    expect(decode([claim.subarray(0, 9)])).toEqual([]);
    expect(failure(65_536, ...cutAt(claim, [...claim.keys()])).message)
      .toContain("4294967295");
  },
);

test("the limit can be raised between two frames of one chunk", () => {
  const small = payloadOf(10, FrameType.PROOF);
  const large = payloadOf(100, FrameType.OPEN);
  const decoder = new Decoder(10);
  decoder.push(bytesOf(small, large));
  expect(decoder.next()?.type).toBe(FrameType.PROOF);
  decoder.maxPayload = 100;
  expect(decoder.next()?.payload.byteLength).toBe(100);
});

test("the end of the input is a loss inside a frame and none between two", () => {
  const first = bytesOf(EVERY_TYPE[0]).byteLength;
  const two = bytesOf(...EVERY_TYPE.slice(0, 2));
  for (let at = 0; at <= two.byteLength; at++) {
    const decoder = new Decoder(65_536);
    decode([two.subarray(0, at)], decoder);
    if ([0, first, two.byteLength].includes(at)) decoder.end();
    else {
      expect(() => decoder.end(), `after ${at} bytes`).toThrow(
        expect.objectContaining({ code: "connection_lost" }),
      );
    }
  }
});

test("bytes that nobody has read are not given up for the next ones", () => {
  const decoder = new Decoder(65_536);
  const frame = { type: FrameType.STOP, stream: 1, channel: 1 };
  const payload = new Uint8Array(0);
  const two = bytesOf({ ...frame, payload }, { ...frame, payload });
  decoder.push(two);
  expect(() => decoder.push(two)).toThrow("Bytes are left to read");
  expect(decoder.next()).toMatchObject(frame);
  expect(() => decoder.push(two)).toThrow("Bytes are left to read");
  expect(decoder.next()).toMatchObject(frame);
  decoder.push(two);
  expect(decoder.next()).toMatchObject(frame);
});
