import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { iconv } from "../core/text/iconv.ts";
import { decodeText, findCodec, keepsAscii } from "../core/text/mod.ts";
import { program } from "./support/runtimes.ts";

const SINGLE = [
  "ibm866 koi8-r koi8-u macintosh x-mac-cyrillic windows-874",
  "windows-1250 windows-1251 windows-1252 windows-1253 windows-1254",
  "windows-1255 windows-1256 windows-1257 windows-1258",
  "iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7",
  "iso-8859-8 iso-8859-8-i iso-8859-10 iso-8859-13 iso-8859-14 iso-8859-15",
  "iso-8859-16",
].join(" ").split(" ");

const MULTI = "gbk gb18030 big5 shift_jis euc-jp euc-kr".split(" ");

/** Deno's decoder is encoding_rs, which the standard's own tests are run with. */
const SCRIPT = `
  const [single, multi] = JSON.parse(Deno.args[0]);
  const text = (name, ...bytes) =>
    new TextDecoder(name).decode(Uint8Array.from(bytes));
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const high = all.slice(128);
  console.log(JSON.stringify({
    single: single.map((name) => all.map((byte) => text(name, byte))),
    multi: multi.map((name) => ({
      bytes: all.map((byte) => text(name, byte)),
      pairs: high.map((a) => all.map((b) => text(name, a, b))),
    })),
  }));`;

interface Standard {
  readonly single: readonly (readonly string[])[];
  readonly multi: readonly {
    readonly bytes: readonly string[];
    readonly pairs: readonly (readonly string[])[];
  }[];
}

const standard: Standard = JSON.parse(execFileSync(
  program("deno"),
  ["eval", SCRIPT, JSON.stringify([SINGLE, MULTI])],
  { encoding: "utf8", maxBuffer: 2 ** 28, env: { NO_COLOR: "1" } },
));

/** What we read, where it is not what the standard says. */
function differences(
  name: string,
  expected: readonly string[],
  bytesOf: (index: number) => number[],
): string[] {
  const codec = findCodec(name, iconv);
  return expected.flatMap((text, index) => {
    const bytes = bytesOf(index);
    const ours = decodeText(Uint8Array.from(bytes), codec);
    return ours === text
      ? []
      : [`${bytes}: ${JSON.stringify(ours)}, not ${JSON.stringify(text)}`];
  });
}

describe.each(SINGLE.map((name, i) => [name, i] as const))(
  "%s",
  (name, i) => {
    test("every byte means what the standard says", () => {
      expect(differences(name, standard.single[i], (byte) => [byte]))
        .toEqual([]);
    });

    test("is written as it is read", () => {
      const codec = findCodec(name, iconv);
      if (codec.writer() !== null) expect(keepsAscii(codec)).toBe(true);
    });
  },
);

/** Node alone: the byte 0x80 by itself, of which no program makes anything. */
function isLeft(name: string, difference: string): boolean {
  const [first, second] = difference.split(":")[0].split(",").map(Number);
  const isKatakana = first >= 0xa1 && first <= 0xdf;
  return name === "shift_jis" &&
    (first === 0x80 || (isKatakana && second === 0x80));
}

describe.each(MULTI.map((name, i) => [name, i] as const))("%s", (name, i) => {
  test("every single byte means what the standard says", () => {
    const found = differences(name, standard.multi[i].bytes, (byte) => [byte]);
    expect(found.filter((each) => !isLeft(name, each))).toEqual([]);
  });

  test("every valid pair means what the standard says", () => {
    const found = standard.multi[i].pairs.flatMap((pairs, high) =>
      differences(
        name,
        pairs,
        (low) => [128 + high, low],
      ).filter((each) => !/not ".*\ufffd/.test(each))
    );
    expect(found.filter((each) => !isLeft(name, each))).toEqual([]);
  });
});
