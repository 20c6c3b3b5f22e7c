import { expect, test } from "vitest";
import { bytesOf, codecOf } from "./support/encodings.ts";
import { SLEEPER } from "./support/processes.ts";
import { BytesTerminal } from "./support/pty.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const PROMPT = ">>: ";
const UP = "\x1b[A";
const BACKSPACE = "\x7f";
const CTRL_C = "\x03";
const CTRL_D = "\x04";

/** The bytes in which a command hears a word, so that no echo looks like them. */
const SHOW = "| od -An -tx1 | tr -d '\\n'";

test.each([
  ["gbk", "zh_CN.GBK", ["c4 e3", "ba c3"]],
  ["big5", "zh_TW.Big5", ["a7 41", "a6 6e"]],
  ["utf-8", "zh_CN.UTF-8", ["e4 bd a0", "e5 a5 bd"]],
])(
  `the prompt in a terminal that speaks %s, on ${THIS_RUNTIME}`,
  async (encoding, locale, [you, hao]) => {
    const codec = codecOf(encoding);
    const read = (bytes: Uint8Array) => codec.reader().write(bytes);
    const terminal = new BytesTerminal(["demo"], read, {
      env: { LC_ALL: locale, TERM: "xterm" },
    });
    const type = (text: string) => terminal.type(bytesOf(text, encoding));
    await terminal.shows(PROMPT);

    // Both ways: what is echoed, what the command gets, what it prints.
    type("printf 你");
    expect(await terminal.shows("你")).not.toContain("\ufffd");
    type(` ${SHOW}\r`);
    await terminal.shows(` ${you}`);
    await terminal.shows(PROMPT);
    type("echo '<'你'>'\r");
    await terminal.shows("<你>\r\n");
    await terminal.shows(PROMPT);

    // One keystroke takes back one character, not one of its bytes.
    type(`printf 你好${BACKSPACE} ${SHOW}\r`);
    await terminal.shows(` ${you}\r\n`);
    await terminal.shows(PROMPT);
    type(`printf 好你${BACKSPACE}${BACKSPACE}a好 ${SHOW}\r`);
    await terminal.shows(` 61 ${hao}\r\n`);
    await terminal.shows(PROMPT);

    // History, and what is added to it.
    type(UP);
    await terminal.shows("printf a好");
    type("; echo up\r");
    await terminal.shows(` 61 ${hao}up\r\n`);
    await terminal.shows(PROMPT);

    expect(terminal.text()).not.toContain("\ufffd");

    // Ctrl-C drops the line, in the middle of a character too.
    type("echo 你never");
    await terminal.shows("never");
    terminal.type(bytesOf("好", encoding).subarray(0, 1));
    type(CTRL_C);
    await terminal.shows("^C\r\n");
    await terminal.shows(PROMPT);
    type("echo 'o'n 你\r");
    expect(await terminal.shows("on 你\r\n")).not.toMatch(/\nnever/);
    await terminal.shows(PROMPT);

    // And ends what runs.
    type(`${SLEEPER}\r`);
    await terminal.shows(SLEEPER);
    await terminal.shows("pid ");
    type(CTRL_C);
    await terminal.shows("ended by SIGINT");
    await terminal.shows(PROMPT);

    type(CTRL_D);
    expect((await terminal.outcome).code).toBe(0);
  },
);
