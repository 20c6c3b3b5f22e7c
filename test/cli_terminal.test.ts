import { describe, expect, test } from "vitest";
import { isAlive, untilGone } from "./support/processes.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { Terminal, useTerminals } from "./support/terminal.ts";

useTerminals();

class Demo extends Terminal {
  constructor(columns: number, prefix = "") {
    super(["demo"], columns, prefix);
  }
}

// `screen()` has no blank at its end.
const PROMPT = "\n>>:";

describe.each([40, 120])(
  `the prompt on ${THIS_RUNTIME}, %i columns`,
  (columns) => {
    test("lines, history, editing, Ctrl-C and Ctrl-D", async () => {
      const terminal = new Demo(columns);
      await terminal.shows(PROMPT);
      await terminal.enter("echo one; echo two >&2; false");
      await terminal.shows(`\none\ntwo\nlimpet: exit code 1${PROMPT}`);

      // An empty line prompts again.
      terminal.press("Enter");
      await terminal.shows(`${PROMPT}${PROMPT}`);

      // History, and editing in the middle of a line.
      terminal.press("Up");
      await terminal.shows(">>: echo one; echo two >&2; false");
      terminal.press("Home");
      // One at a time: Node 20's readline misplaces what is pasted in the middle.
      terminal.type("!");
      await terminal.shows(">>: !echo one; echo two >&2; false");
      terminal.type(" ");
      await terminal.shows(">>: ! echo one; echo two >&2; false");
      terminal.press("End", "BSpace", "BSpace", "BSpace", "BSpace", "BSpace");
      terminal.type("true");
      await terminal.shows("echo two >&2; true");
      terminal.press("Enter");
      await terminal.shows(`true\none\ntwo${PROMPT}`);

      // Ctrl-C at the prompt drops the line.
      terminal.type("echo never");
      await terminal.shows(">>: echo never");
      terminal.press("C-c");
      await terminal.shows(PROMPT);
      await terminal.enter("echo on");
      await terminal.shows(`\non${PROMPT}`);
      expect(terminal.screen()).not.toMatch(/^never/m);

      // Ctrl-C ends what runs, and not the prompt. What runs says so itself: dash
      // loses a Ctrl-C that meets it while it starts something.
      await terminal.enter(`perl -le '$|=1;print"$$.";sleep'`);
      await terminal.shows(/\n\d+\.$/);
      const pid = Number(/\n(\d+)\.$/.exec(terminal.screen())?.[1]);
      expect(isAlive(pid)).toBe(true);
      terminal.press("C-c");
      await terminal.shows(`\nlimpet: ended by SIGINT${PROMPT}`);
      await untilGone([pid]);

      await terminal.enter("cd /usr");
      await terminal.shows(`cd /usr${PROMPT}`);
      await terminal.enter("pwd");
      await terminal.shows(`\n/usr${PROMPT}`);
      terminal.press("C-d");
      await terminal.shows("\nleft with 0");
      terminal.close();
    });
  },
);

test(`NO_COLOR and exit, on ${THIS_RUNTIME}`, async () => {
  const bright = new Demo(80);
  const plain = new Demo(80, "NO_COLOR=1");
  const dumb = new Demo(80, "TERM=dumb");
  for (const terminal of [bright, plain, dumb]) {
    await terminal.shows(PROMPT);
    await terminal.enter("exit 3");
    await terminal.shows("\nleft with 3");
  }
  const escape = "\x1b[";
  expect(bright.colours()).toContain(escape);
  expect(plain.colours()).not.toContain(escape);
  expect(dumb.colours()).not.toContain(escape);
  [bright, plain, dumb].forEach((terminal) => terminal.close());
});

test(`output without a line end stays on the screen, on ${THIS_RUNTIME}`, async () => {
  const terminal = new Demo(80);
  await terminal.shows(PROMPT);
  await terminal.enter("printf out");
  await terminal.shows(`printf out\nout${PROMPT}`);
  await terminal.enter("printf err >&2; false");
  await terminal.shows(
    `printf err >&2; false\nerr\nlimpet: exit code 1${PROMPT}`,
  );
  await terminal.enter("exit");
  await terminal.shows("\nleft with 0");
  terminal.close();
});
