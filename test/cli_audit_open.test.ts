import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { temporaryFolder } from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { machine } from "./support/machine.ts";

const folder = temporaryFolder();
mkdirSync(join(folder, "folder"));
writeFileSync(join(folder, "file"), "");

test.each([
  ["folder", "is a directory (EISDIR). Name a file in it"],
  [
    "file/log",
    "not a directory (ENOTDIR). A part of its path is a file: name another one",
  ],
])("an audit log at %s: what is wrong, and what to do", async (at, why) => {
  const path = join(folder, at);
  const { code, stderr } = await limpetHere(
    ["serve", "tcp://127.0.0.1:0", "--audit", path],
    { env: { LIMPET_TOKEN: "0123456789abcdef" } },
  );
  // Not 255: systemd would start it again and again.
  expect(code).toBe(125);
  expect(stderr).toContain(`limpet: Cannot open the log ${path}: ${why}\n`);
});

// A device that is always full, which only Linux has.
test.runIf(process.platform === "linux")(
  "a log whose disk is full says so, and what to do",
  async () => {
    const log = await machine.files.openLog("/dev/full");
    await expect(log.write(new Uint8Array(1))).rejects.toThrow(
      "Cannot write to the log /dev/full: no space left on the device " +
        "(ENOSPC). Make room there, or name a file of another disk",
    );
    await log.close();
  },
);
