/**
 * Frames as bytes and back, and arbitrary ones for property tests.
 *
 * @module
 */

import fc from "fast-check";
import { Decoder } from "../../core/frame/decoder.ts";
import { encodeFrames, type Frame, FrameType } from "../../core/frame/frame.ts";

/** For streams whose windows stay as they are. */
export const NO_GROWTH = { fastestMs: Infinity, grown: 0, most: 0, known: 0 };

/** All chunks in one piece of memory. */
export function join(chunks: readonly Uint8Array[]): Uint8Array {
  const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

/** The bytes of some frames. */
export function bytesOf(...frames: Frame[]): Uint8Array {
  return join(encodeFrames(frames));
}

/** From the notation of the vectors. */
export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** To the notation of the vectors. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** Cuts bytes at these positions, in any order, repeated or out of range. */
export function cutAt(
  bytes: Uint8Array,
  positions: readonly number[],
): Uint8Array[] {
  const cuts = [...positions, bytes.byteLength]
    .map((position) => Math.min(position, bytes.byteLength))
    .sort((a, b) => a - b);
  let from = 0;
  return cuts.map((to) => {
    const piece = bytes.subarray(from, to);
    from = to;
    return piece;
  });
}

/** What a decoder makes of chunks, pieces of DATA as they come. */
export function decode(
  chunks: readonly Uint8Array[],
  decoder: Decoder = new Decoder(65_536),
): Frame[] {
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    let frame: Frame | undefined;
    while ((frame = decoder.next()) !== undefined) frames.push(frame);
  }
  return frames;
}

/**
 * Frames in a form that can be compared: the pieces of each stream's DATA that
 * follow one another are one, since where they are cut has no meaning.
 */
export function comparable(frames: readonly Frame[]): object[] {
  const merged: Frame[] = [];
  for (const frame of frames) {
    const last = merged.at(-1);
    const goesOn = last !== undefined && frame.type === FrameType.DATA &&
      last.type === frame.type && last.stream === frame.stream &&
      last.channel === frame.channel;
    if (!goesOn) merged.push(frame);
    else {
      const payload = join([last.payload, frame.payload]);
      merged[merged.length - 1] = { ...last, payload };
    }
  }
  return merged.map(({ payload, ...rest }) => ({
    ...rest,
    payload: toHex(payload),
  }));
}

/** One frame of every type: known, optional, and with every kind of payload. */
export const EVERY_TYPE: readonly Frame[] = [
  ...Object.values(FrameType),
  128,
  255,
].map((type, i) => ({
  type,
  stream: i % 3,
  channel: i === 0 ? 0 : 0xffff_ffff - i,
  payload: type === FrameType.STOP
    ? new Uint8Array(0)
    : Uint8Array.from({ length: 1 + i }, (_, at) => (at * 37 + i) & 0xff),
}));

/** Any frame that the layout has room for. */
export const anyFrame: fc.Arbitrary<Frame> = fc.record({
  type: fc.oneof(
    fc.constantFrom(...Object.values(FrameType)),
    fc.integer({ min: 0, max: 255 }),
  ),
  stream: fc.integer({ min: 0, max: 255 }),
  channel: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 300 }),
});

/** Positions to cut bytes at. */
export const anyCuts: fc.Arbitrary<number[]> = fc.array(
  fc.nat({ max: 2_000 }),
  { maxLength: 20 },
);
