import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { environment, quoted, temporaryFolder } from "./support/cli.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { cli, ROOT, THIS_RUNTIME } from "./support/runtimes.ts";

// A tmux of our own, on a socket of our own.
const socket = join(temporaryFolder(), "tmux");
const env = environment({ TERM: "xterm-256color" });

function tmux(...args: string[]): string {
  return execFileSync("tmux", ["-S", socket, "-f", "/dev/null", ...args], {
    encoding: "utf8",
    env,
  });
}

// The server ends with its last terminal, unless a test has failed.
tmux("new-session", "-d", "-s", "keep", "cat");
afterAll(() => tmux("kill-server"));

let count = 0;

/** `limpet demo` in a terminal of its own. */
class Terminal {
  readonly #name = `t${count++}`;

  constructor(columns: number, prefix = "") {
    const demo = [...cli(THIS_RUNTIME), "demo"].map(quoted).join(" ");
    // Ctrl-C reaches this shell too; it is to outlive the command.
    const line = `trap : INT; cd ${
      quoted(ROOT)
    }; ${prefix} ${demo}; echo "left with $?"; cat`;
    tmux(
      ...["new-session", "-d", "-s", this.#name, "-x", String(columns)],
      ...["-y", "24", "sh", "-c", line],
    );
  }

  /** What is on the screen, wrapped lines as one. */
  screen(): string {
    return tmux("capture-pane", "-p", "-J", "-t", this.#name)
      .replace(/ +$/gm, "").trimEnd();
  }

  /** With its colours. */
  colours(): string {
    return tmux("capture-pane", "-p", "-e", "-t", this.#name);
  }

  type(text: string): void {
    tmux("send-keys", "-t", this.#name, "-l", text);
  }

  press(...keys: string[]): void {
    tmux("send-keys", "-t", this.#name, ...keys);
  }

  /** Waits until the end of the screen is this. */
  async shows(end: string | RegExp): Promise<void> {
    const fits = () => {
      const screen = this.screen();
      return typeof end === "string" ? screen.endsWith(end) : end.test(screen);
    };
    await eventually(fits, () => `${end} in\n${this.screen()}`, 15_000);
  }

  async enter(line: string): Promise<void> {
    this.type(line);
    await this.shows(line);
    this.press("Enter");
  }

  close(): void {
    tmux("kill-session", "-t", this.#name);
  }
}

// `screen()` has no blank at its end.
const PROMPT = "\n>>:";

describe.each([40, 120])(
  `the prompt on ${THIS_RUNTIME}, %i columns`,
  (columns) => {
    test("lines, history, editing, Ctrl-C and Ctrl-D", async () => {
      const terminal = new Terminal(columns);
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

      // Ctrl-C ends what runs, and not the prompt.
      await terminal.enter("echo pid $$.; exec sleep 1000");
      await terminal.shows(/\npid \d+\.$/);
      const pid = Number(/\npid (\d+)\.$/.exec(terminal.screen())?.[1]);
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
  const bright = new Terminal(80);
  const plain = new Terminal(80, "NO_COLOR=1");
  const dumb = new Terminal(80, "TERM=dumb");
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
  const terminal = new Terminal(80);
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
