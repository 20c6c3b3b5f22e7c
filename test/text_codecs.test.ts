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
          fc.uint8Array({ maxLength: 40 }),
          fc.nat(40),
          (noise, at) => {
            const whole = decodeText(noise, codec);
            const cut = inPieces(codec, [
              noise.subarray(0, at),
              noise.subarray(at),
            ]);
            expect(cut.join("")).toBe(whole);
            expect(whole).not.toMatch(HALF_PAIR);
          },
        ),
        { numRuns: 200 },
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
