import fc from "fast-check";
import { expect, test } from "vitest";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { PartAssembler, splitControl } from "../core/session/parts.ts";
import { heldBytes } from "./support/memory.ts";

function frame(type: number, size: number, channel = 1): Frame {
  const payload = Uint8Array.from({ length: size }, (_, i) => i & 0xff);
  return { type, stream: 0, channel, payload };
}

const PROTOCOL_ERROR = expect.objectContaining({ code: "protocol_error" });

test("a message comes out of its parts as it went in", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 500 }),
    fc.integer({ min: 1, max: 600 }),
    (payload, limit) => {
      const message = { ...frame(FrameType.OPEN, 0), payload };
      const parts = splitControl(message, limit);
      expect(parts.length).toBe(
        Math.max(1, Math.ceil(payload.byteLength / limit)),
      );
      const assembler = new PartAssembler(500);
      const out = parts.map((part) => {
        expect(part.payload.byteLength).toBeLessThanOrEqual(limit);
        return assembler.push(part);
      });
      expect(out.pop()).toEqual(message);
      expect(out.every((none) => none === null)).toBe(true);
      // And it is ready for the next.
      expect(assembler.push(message)).toBe(message);
    },
  ));
});

test("parts are copied out of the chunks that they came in", () => {
  const chunk = new Uint8Array(65_536);
  const part = { ...frame(FrameType.PART, 0), payload: chunk.subarray(0, 1) };
  const assembler = new PartAssembler(100);
  assembler.push(part);
  chunk[0] = 9;
  const whole = assembler.push(frame(FrameType.OPEN, 0));
  expect([...whole!.payload]).toEqual([0]);
});

test("together they may have as many bytes as the limit, and no more", () => {
  const assembler = new PartAssembler(100);
  assembler.push(frame(FrameType.PART, 60));
  expect(assembler.push(frame(FrameType.OPEN, 40))?.payload.byteLength)
    .toBe(100);
  assembler.push(frame(FrameType.PART, 60));
  expect(() => assembler.push(frame(FrameType.PART, 41))).toThrow(
    expect.objectContaining({ code: "limit_exceeded" }),
  );
});

test("nothing may come between them", () => {
  const intruders = [
    frame(FrameType.DATA, 1),
    frame(FrameType.CREDIT, 4),
    frame(FrameType.STOP, 0),
    frame(FrameType.CLOSE, 2),
    frame(200, 1),
    frame(FrameType.PART, 1, 3),
    frame(FrameType.OPEN, 1, 3),
    { ...frame(FrameType.PART, 1), stream: 1 },
    { ...frame(FrameType.OPEN, 1), stream: 1 },
  ];
  for (const intruder of intruders) {
    const assembler = new PartAssembler(100);
    assembler.push(frame(FrameType.PART, 1));
    expect(() => assembler.push(intruder)).toThrow(PROTOCOL_ERROR);
  }
});

test("an empty part, of which there could be any number, is refused", () => {
  const assembler = new PartAssembler(100);
  for (let before = 0; before < 3; before++) {
    expect(() => assembler.push(frame(FrameType.PART, 0))).toThrow(
      PROTOCOL_ERROR,
    );
    assembler.push(frame(FrameType.PART, 1));
  }
});

test("parts of a byte hold memory for their bytes, not for their number", async () => {
  const assembler = new PartAssembler(4_194_304);
  const part = frame(FrameType.PART, 1);
  const before = await heldBytes();
  for (let i = 0; i < 500_000; i++) assembler.push(part);
  expect(await heldBytes() - before).toBeLessThan(4_194_304);
  const whole = assembler.push(frame(FrameType.OPEN, 1));
  expect(whole?.payload.byteLength).toBe(500_001);
});
