import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  EN,
  framePicture,
  recvPicture,
  type Words,
  ZH,
} from "./support/pictures.ts";
import { ROOT } from "./support/runtimes.ts";

const FIRST = Array.from({ length: 400 }, (_, i) => `${i + 1}\n`).join("");
const SECOND = "second\n";

/** Drawn anew with `npm test -- --only node test/lab_pictures.test.ts -u`. */
test.each<[string, Words]>([["", EN], [".zh-CN", ZH]])(
  "the pictures%s are as the code draws them",
  async (suffix, words) => {
    const at = (name: string) => join(ROOT, "core", "lab", name + suffix);
    await expect(framePicture(words)).toMatchFileSnapshot(`${at("frame")}.svg`);
    await expect(recvPicture(words, FIRST.length, SECOND.length))
      .toMatchFileSnapshot(`${at("recv")}.svg`);
    // A snapshot that was not there would have been written just now.
    expect(readFileSync(`${at("frame")}.svg`, "utf8")).toContain("</svg>");
  },
);
