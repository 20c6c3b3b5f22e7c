import { toBytes } from "@std/streams";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { iconv } from "../core/text/iconv.ts";
import {
  decodeText,
  encodeStream,
  encodeText,
  findCodec,
  type TextCodec,
} from "../core/text/mod.ts";
import { COMMON_NAMES } from "../core/text/names.ts";

/** Something of every script that one of the encodings was made for. */
const CHARACTERS = [
  ..."Ab1~\\|`^ \n\tÀéßøÿ€ŁőşğžČĐƏαΩЖяёўآبتאבกขไ你好誠功繁體輸入法㎡かなカナ日本語한국어뷁，。「」─│█▒",
  "\u{1f600}",
  "\u{20000}",
];

/** Every encoding that either decoder knows. */
const ALL = [
  ...new Map(
    [...COMMON_NAMES, ...iconv.names]
      .map((name) => findCodec(name, iconv))
      .map((codec) => [codec.name, codec]),
  ).values(),
];

const WRITABLE = ALL.filter((codec) => codec.writer() !== null);

function has(codec: TextCodec, character: string): boolean {
  try {
    encodeText(character, codec);
    return true;
  } catch {
    return false;
  }
}

function sampleOf(codec: TextCodec): string {
  return CHARACTERS.filter((character) => has(codec, character)).join("");
}

function streamOf(pieces: readonly string[]): ReadableStream<string> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

function inPieces(codec: TextCodec, pieces: readonly Uint8Array[]): string[] {
  const reader = codec.reader();
  return [...pieces.map((piece) => reader.write(piece)), reader.end()];
}

/** Bytes at which encodings begin, go on, shift or end. */
const EDGES = [
  ...[0x00, 0x1b, 0x24, 0x28, 0x2b, 0x2d, 0x30, 0x39, 0x40, 0x42, 0x4a, 0x7e],
  ...[0x7f, 0x80, 0x81, 0x8e, 0x8f, 0xa0, 0xa1, 0xd8, 0xdc, 0xdf, 0xfe, 0xff],
];

const HALF_PAIR = /\p{Surrogate}/u;

test("there are as many encodings as expected", () => {
  expect(ALL.length).toBeGreaterThan(90);
  // iconv-lite reads and writes all but this one, which has states.
  expect(ALL.filter((codec) => codec.writer() === null).map((c) => c.name))
    .toEqual(["iso-2022-jp"]);
});

describe.each(WRITABLE.map((codec) => [codec.name, codec] as const))(
  "%s",
  (name, codec) => {
    const sample = sampleOf(codec);
    const bytes = encodeText(sample, codec);

    test("text comes back, cut at every offset", () => {
      expect(sample.length).toBeGreaterThan(8);
      expect(decodeText(bytes, codec)).toBe(sample);
      for (let at = 0; at <= bytes.byteLength; at++) {
        const pieces = [bytes.subarray(0, at), bytes.subarray(at)];
        const texts = inPieces(codec, pieces);
        expect(texts.join(""), `cut at ${at}`).toBe(sample);
        for (const text of texts) expect(text).not.toMatch(HALF_PAIR);
      }
    });

    test("text comes back, one byte at a time", () => {
      const single = [...bytes].map((byte) => Uint8Array.of(byte));
      expect(inPieces(codec, single).join("")).toBe(sample);
    });

    test("text in any pieces is written as the same text", async () => {
      const property = fc.asyncProperty(
        fc.array(fc.nat(sample.length), { maxLength: 5 }),
        async (at) => {
          const cuts = [0, ...at.sort((a, b) => a - b), sample.length];
          const pieces = cuts.slice(1).map((cut, i) =>
            sample.slice(cuts[i], cut)
          );
          const written = encodeStream(streamOf(pieces), codec);
          expect(decodeText(await toBytes(written), codec)).toBe(sample);
        },
      );
      await fc.assert(property, { numRuns: 20 });
    });

    test("any bytes give the same text however they are cut", () => {
      fc.assert(
        fc.property(
          fc.array(fc.oneof(fc.nat(255), fc.constantFrom(...EDGES)), {
            maxLength: 12,
          }),
          fc.nat(12),
          (bytes, at) => {
            const noise = Uint8Array.from(bytes);
            const whole = decodeText(noise, codec);
            const cut = inPieces(codec, [
              noise.subarray(0, at),
              noise.subarray(at),
            ]);
            const single = inPieces(
              codec,
              bytes.map((byte) => Uint8Array.of(byte)),
            );
            expect(cut.join("")).toBe(whole);
            expect(single.join("")).toBe(whole);
            expect(whole).not.toMatch(HALF_PAIR);
          },
        ),
        { numRuns: 300 },
      );
    });

    test(`an incomplete character at the end is no error`, () => {
      for (let length = 0; length <= bytes.byteLength; length++) {
        const part = bytes.subarray(0, length);
        expect(typeof decodeText(part, codec), name).toBe("string");
      }
    });
  },
);

test("iso-2022-jp, any bytes: text, one byte at a time or whole", () => {
  const codec = findCodec("iso-2022-jp");
  const japanese = [0x1b, 0x24, 0x42, 0x46, 0x7c, 0x1b, 0x28, 0x42, 0x41];
  expect(inPieces(codec, japanese.map((byte) => Uint8Array.of(byte))).join(""))
    .toBe("日A");
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EDGES)), (bytes) => {
      const single = bytes.map((byte) => Uint8Array.of(byte));
      expect(inPieces(codec, single).join("")).not.toMatch(HALF_PAIR);
      expect(decodeText(Uint8Array.from(bytes), codec)).not.toMatch(HALF_PAIR);
    }),
    { numRuns: 5_000 },
  );
});
