/**
 * Encodings for tests of commands: which there are, and text for each.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { iconv } from "../../core/text/iconv.ts";
import { encodeText, findCodec, type TextCodec } from "../../core/text/mod.ts";

/** The codec of that name, from whoever knows it. */
export function codecOf(name: string): TextCodec {
  return findCodec(name, iconv);
}

/** The bytes of some text. */
export function bytesOf(text: string, encoding: string): Uint8Array {
  return encodeText(text, codecOf(encoding));
}

/** One that every encoding of a set can write, with line ends in it. */
export const SAMPLES: readonly (readonly [name: string, text: string])[] = [
  ["gbk", "中文：你好，世界。ＡＢ\n输入法€\\|`~ end\n"],
  ["gb18030", "中文：你好😀𠀀ﷲ\nÀéß end\n"],
  ["big5", "繁體中文：你好，功許蓋\n輸入法 end\n"],
  ["shift_jis", "日本語：ソ表能、ｶﾅ\nかなカナ end\n"],
  ["euc-jp", "日本語：ソ表能、ｶﾅ\nかなカナ end\n"],
  ["euc-kr", "한국어: 안녕하세요\n뷁 가 end\n"],
  ["utf-8", "é中文😀𠀀\nαΩЖя end\n"],
  ["utf-16le", "é中文😀𠀀਀\nαΩЖя end\n"],
  ["utf-16be", "é中文😀𠀀਀\nαΩЖя end\n"],
  ["utf-32le", "é中文😀𠀀\nαΩЖя end\n"],
  ["utf-32be", "é中文😀𠀀\nαΩЖя end\n"],
  ["utf-7", "é中文+😀-𠀀\n-αΩ-Жя end\n"],
  ["cesu-8", "é中文😀𠀀\nαΩЖя end\n"],
];

/** ISO-2022-JP can only be read here: あい, ASCII, 漢字, JIS X 0201. */
export const ISO_2022_JP: readonly [Uint8Array, string] = [
  new TextEncoder().encode(
    '\x1b$B$"$$\x1b(B ab\n\x1b$B4A;z\x1b(B\n\x1b(J\\~\x1b(B end\n',
  ),
  "あい ab\n漢字\n¥‾ end\n",
];

/** All that GBK can write, and ASCII cannot. */
export function allOfGbk(): string {
  const two: number[] = [];
  for (let lead = 0x81; lead <= 0xfe; lead++) {
    for (let trail = 0x40; trail <= 0xfe; trail++) {
      if (trail !== 0x7f) two.push(lead, trail);
    }
  }
  const gbk = codecOf("gbk");
  const reader = gbk.reader();
  const text = reader.write(Uint8Array.from(two)) + reader.end();
  return [...new Set(text)].filter((character) => {
    if (character <= "\x7f") return false;
    try {
      return encodeText(character, gbk).byteLength > 0;
    } catch {
      return false;
    }
  }).join("");
}

/**
 * Variables of a locale that glibc makes for us in `folder`, so that programs
 * really speak GBK; null where the system has not the sources for it.
 */
export function gbkLocale(folder: string): Record<string, string> | null {
  const name = join(folder, "zh_CN.GBK");
  spawnSync("localedef", ["-c", "-f", "GBK", "-i", "zh_CN", name]);
  return existsSync(name) ? { LOCPATH: folder, LC_ALL: "zh_CN.GBK" } : null;
}

/** The shells of this machine that can be its /bin/sh. */
export function posixShells(): (readonly string[])[] {
  const known = [["/bin/sh"], ["dash"], ["bash", "--posix"], ["bash"], [
    "busybox",
    "sh",
  ]];
  return known.filter(([file, ...args]) =>
    spawnSync(file, [...args, "-c", "exit 7"]).status === 7
  );
}
