import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { iconv } from "../core/text/iconv.ts";
import { encodingOfCodePage, encodingOfLocale } from "../core/text/locale.ts";
import { findCodec, keepsAscii } from "../core/text/mod.ts";
import { ROOT } from "./support/runtimes.ts";

describe("the encoding of a Unix locale", () => {
  const of = (env: Record<string, string>) =>
    encodingOfLocale((name) => env[name]);
  const named = (env: Record<string, string>) => findCodec(of(env), iconv).name;

  test.each([
    [{}, "utf-8"],
    [{ LANG: "" }, "utf-8"],
    [{ LANG: "zh_CN.GBK" }, "GBK"],
    [{ LC_CTYPE: "ja_JP.eucJP", LANG: "zh_CN.GBK" }, "eucJP"],
    [{ LC_ALL: "ru_RU.KOI8-R", LC_CTYPE: "x.y", LANG: "z.w" }, "KOI8-R"],
    [{ LC_ALL: "", LC_CTYPE: "", LANG: "zh_CN.GBK" }, "GBK"],
    [{ LC_ALL: "C", LANG: "zh_CN.GBK" }, "utf-8"],
    [{ LC_ALL: "POSIX", LANG: "zh_CN.GBK" }, "utf-8"],
    [{ LC_MESSAGES: "zh_CN.GBK", LANG: "C" }, "utf-8"],
    [{ LANG: "zh_CN.GB18030@pinyin" }, "GB18030"],
    [{ LANG: "de_DE.ISO-8859-1@euro" }, "ISO-8859-1"],
    [{ LANG: "de_DE@euro" }, "iso-8859-15"],
    [{ LANG: "zh_CN." }, "gb2312"],
    [{ LANG: "no such@thing.at@all" }, "utf-8"],
    [{ LANG: "__proto__" }, "utf-8"],
    [{ LANG: "constructor" }, "utf-8"],
    [{ LANG: "toString_XX" }, "utf-8"],
  ])("%j is %s", (env, encoding) => {
    expect(of(env)).toBe(encoding);
  });

  test.each([
    ["C.UTF-8", "utf-8"],
    ["en_US.utf8", "utf-8"],
    ["zh_CN", "gbk"],
    ["zh_CN.GB2312", "gbk"],
    ["zh_CN.gb18030", "gb18030"],
    ["zh_SG", "gbk"],
    ["zh_TW", "big5"],
    ["zh_HK", "big5"],
    ["ja_JP", "euc-jp"],
    ["ja_JP.SJIS", "shift_jis"],
    ["ko_KR", "euc-kr"],
    ["ko_KR.eucKR", "euc-kr"],
    ["ru_RU", "iso-8859-5"],
    ["uk_UA", "koi8-u"],
    ["de_DE", "windows-1252"],
    ["pl_PL", "iso-8859-2"],
    ["hi_IN", "utf-8"],
    ["be_BY.CP1251", "windows-1251"],
    ["en_US.ANSI_X3.4-1968", "windows-1252"],
    ["xx_XX.IBM437", "cp437"],
  ])("%s is known here as %s", (locale, name) => {
    expect(named({ LANG: locale })).toBe(name);
  });
});

describe("the encoding of a Windows console", () => {
  test.each([
    ["Active code page: 936\r\n", "gbk"],
    ["活动代码页: 936\r\n", "gbk"],
    ["\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdҳ: 936\r\n", "gbk"],
    ["Aktive Codepage: 850.\r\n", "cp850"],
    ["Page de codes active : 850\r\n", "cp850"],
    ["Tabla de códigos activa: 850\r\n", "cp850"],
    ["現在のコード ページ: 932\r\n", "shift_jis"],
    ["활성 코드 페이지: 949\r\n", "euc-kr"],
    ["使用中的字碼頁: 950\r\n", "big5"],
    ["Текущая кодовая страница: 866\r\n", "ibm866"],
    ["Active code page: 437\r\n", "cp437"],
    ["Active code page: 65001\r\n", "utf-8"],
    ["Active code page: 1252\r\n", "windows-1252"],
    ["Active code page: 28591\r\n", "windows-1252"],
    ["Active code page: 54936\r\n", "gb18030"],
    ["", "utf-8"],
    ["no number at all\r\n", "utf-8"],
  ])("%j is %s", (printed, name) => {
    expect(findCodec(encodingOfCodePage(printed), iconv).name).toBe(name);
  });
});

describe("a name that nobody knows", () => {
  test.each([
    ["gkb", "gbk"],
    ["utf9", "utf-8"],
    ["big-6", "big5"],
    ["cp438", "cp437"],
    ["shift-jos", "shift_jis"],
  ])("%s is refused, with %s for a hint", (wrong, right) => {
    const refused = () => findCodec(wrong, iconv);
    expect(refused).toThrow(
      expect.objectContaining({
        name: "LimpetError",
        code: "invalid_argument",
      }),
    );
    expect(refused).toThrow(`There is no encoding "${wrong}". Did you mean `);
    expect(refused).toThrow(right);
  });

  test.each([
    "",
    "no such encoding",
    "constructor",
    "__proto__",
    "EUC-TW",
    "base64",
    "hex",
    "_internal",
    "x".repeat(70),
  ])(
    "%j is refused",
    (wrong) => {
      expect(() => findCodec(wrong, iconv)).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    },
  );

  test("without limpet/iconv says so", () => {
    expect(() => findCodec("cp437")).toThrow(
      /^There is no encoding "cp437"\. For example .*; limpet\/iconv knows more/,
    );
    expect(() => findCodec("gkb")).toThrow(
      /^There is no encoding "gkb"\. Did you mean gbk\? limpet\/iconv knows more/,
    );
    expect(findCodec("cp866").name).toBe("ibm866");
    expect(findCodec("gbk").writer()).toBeNull();
  });
});

test("a console may speak what keeps ASCII", () => {
  const keeps = (name: string) => keepsAscii(findCodec(name, iconv));
  for (const name of ["utf-8", "gbk", "big5", "euc-jp", "cp437", "koi8-r"]) {
    expect([name, keeps(name)]).toEqual([name, true]);
  }
  for (const name of ["utf-16le", "utf-32be", "utf-7", "iso-2022-jp"]) {
    expect([name, keeps(name)]).toEqual([name, false]);
  }
});

describe("who does not import limpet/iconv", () => {
  const platforms = join(ROOT, "node_modules", "@esbuild");
  const esbuild = join(platforms, readdirSync(platforms)[0], "bin", "esbuild");
  const bundle = (source: string): string => {
    const streams = join(ROOT, "node_modules/deno-std/streams/mod.js");
    const { status, stdout, stderr } = spawnSync(esbuild, [
      "--bundle",
      "--format=esm",
      "--platform=node",
      `--alias:@std/streams=${streams}`,
    ], { cwd: ROOT, input: source, encoding: "utf8", maxBuffer: 1e8 });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout;
  };

  test("ships none of its tables", () => {
    const without = bundle('export { connect } from "./core/mod.ts";');
    expect(without).not.toMatch(/iconv-lite\/|safer-buffer|cp437|big5hkscs/);
    expect(without.length).toBeLessThan(200_000);
    const more = bundle(
      'export { connect } from "./core/mod.ts";' +
        'export { iconv } from "./core/text/iconv.ts";',
    );
    expect(more).toMatch(/iconv-lite\//);
    expect(more).toMatch(/cp437/);
    expect(more.length).toBeGreaterThan(without.length + 200_000);
  });
});
