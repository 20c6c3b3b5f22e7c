import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { startRaw } from "./support/raw.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { Terminal, useTerminals } from "./support/terminal.ts";

useTerminals();
const folder = temporaryFolder();

// `screen()` has no blank at its end.
const PROMPT = "\n>>:";

test(`shell raw:// in a terminal, on ${THIS_RUNTIME}`, async () => {
  const { address, running } = await startRaw();
  const args = ["shell", "--insecure", "--timeout", "60s", address];
  const terminal = new Terminal(args);
  await terminal.shows(">>:");
  await terminal.enter("echo one");
  await terminal.shows(`\none${PROMPT}`);

  // The next prompt stands on a row of its own.
  await terminal.enter("printf two");
  await terminal.shows(`\ntwo${PROMPT}`);

  // A terminal gets text, whatever the bytes are.
  await terminal.enter("printf 'a\\377b'");
  await terminal.shows(`\na\ufffdb${PROMPT}`);

  terminal.press("Enter");
  await terminal.shows(/\nlimpet: an empty line is not sent[^\n]*\n[^>]*>>:$/);
  terminal.press("Enter");
  await terminal.shows(`${PROMPT}${PROMPT}`);

  // Ctrl-C gives up waiting; what the line prints after all comes later.
  const file = join(folder, "started");
  const gate = join(folder, "gate");
  await terminal.enter(
    `touch ${file}; until [ -e ${gate} ]; do sleep 0.05; done; echo late`,
  );
  await eventually(() => existsSync(file), () => "the line runs");
  terminal.press("C-c");
  await terminal.shows(/\^C\nlimpet: not waiting any longer[^>]*\n>>:$/);
  await terminal.enter("echo next");
  writeFileSync(gate, "");
  // The answer to the next line comes with it, if the two stuck together.
  await terminal.shows(/\nlate(\nnext)?\n>>:$/);
  terminal.press("C-d");
  await terminal.shows("\nleft with 0");
  terminal.close();
  running.kill("SIGTERM");
  expect((await running.outcome).code).toBe(0);
});
