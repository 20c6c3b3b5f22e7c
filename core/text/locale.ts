/**
 * Which encoding a console speaks, from what the system says of it.
 *
 * @module
 */

/**
 * The encoding of a Unix locale, as its variables have it: `LC_ALL` before
 * `LC_CTYPE` before `LANG`, the first that is not empty (POSIX.1-2024, 8.2). A
 * name like `gb18030` or `ISO-8859-1`, not yet looked up. `C`, `POSIX` and no
 * variable at all count as UTF-8: they say nothing of what programs print.
 */
export function encodingOfLocale(
  env: (name: string) => string | undefined,
): string {
  const locale = env("LC_ALL") || env("LC_CTYPE") || env("LANG") || "C";
  // language_TERRITORY.codeset@modifier
  const [, place, codeset, modifier] =
    /^([^.@]*)(?:\.([^@]*))?(?:@(.*))?$/.exec(locale) ?? [];
  if (codeset) return codeset;
  if (modifier === "euro") return "iso-8859-15";
  return CHARSETS.get(place) ?? CHARSETS.get(place?.split("_")[0]) ?? "utf-8";
}

/**
 * What glibc takes for locales that name no codeset (its list SUPPORTED), by
 * territory, else by language. Languages that are not here have UTF-8 there too.
 */
const CHARSETS: ReadonlyMap<string, string> = new Map(Object.entries({
  zh_CN: "gb2312",
  zh_SG: "gb2312",
  zh_HK: "big5-hkscs",
  zh_TW: "big5",
  ja_JP: "euc-jp",
  ko_KR: "euc-kr",
  ...byCharset("iso-8859-1", "da de en es eu fi fr ga gl id is it nb nl nn pt"),
  ...byCharset("iso-8859-1", "ca sq sv"),
  ...byCharset("iso-8859-2", "bs cs hr hu pl ro sk sl"),
  ...byCharset("iso-8859-5", "mk ru"),
  ...byCharset("iso-8859-6", "ar"),
  ...byCharset("iso-8859-7", "el"),
  ...byCharset("iso-8859-8", "he"),
  ...byCharset("iso-8859-9", "tr"),
  ...byCharset("iso-8859-13", "lt lv mi"),
  ...byCharset("iso-8859-15", "et"),
  ...byCharset("koi8-u", "uk"),
  ...byCharset("windows-1251", "be bg"),
  ...byCharset("tis-620", "th"),
}));

function byCharset(charset: string, languages: string): Record<string, string> {
  return Object.fromEntries(
    languages.split(" ").map((language) => [language, charset]),
  );
}

/**
 * The encoding of a Windows console, from what `chcp` prints, in whichever
 * language: `Active code page: 936`, `活动代码页: 936`. `cp936` and the like, not yet
 * looked up; UTF-8 if there is no number.
 */
export function encodingOfCodePage(printed: string): string {
  const number = /(\d+)[^\d]*$/.exec(printed)?.[1];
  return number === undefined ? "utf-8" : `cp${number}`;
}
