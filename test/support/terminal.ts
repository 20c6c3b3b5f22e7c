/**
 * The command line in a terminal, as tmux has it.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { environment, quoted } from "./cli.ts";
import { eventually } from "./leaks.ts";
import { cli, ROOT, THIS_RUNTIME } from "./runtimes.ts";

let socket = "";

function tmux(...args: string[]): string {
  return execFileSync("tmux", ["-S", socket, "-f", "/dev/null", ...args], {
    encoding: "utf8",
    env: environment({ TERM: "xterm-256color" }),
  });
}

/** A tmux of our own, on a socket of our own, for the tests of one file. */
export function useTerminals(): void {
  beforeAll(() => {
    socket = join(mkdtempSync(join(tmpdir(), "limpet-tmux-")), "tmux");
    // The server ends with its last terminal, unless a test has failed.
    tmux("new-session", "-d", "-s", "keep", "cat");
  });
  afterAll(() => {
    tmux("kill-server");
    rmSync(dirname(socket), { recursive: true, force: true });
  });
}

let count = 0;

/** `limpet` in a terminal of its own. */
export class Terminal {
  readonly #name = `t${count++}`;

  constructor(args: readonly string[], columns = 80, prefix = "") {
    const limpet = [...cli(THIS_RUNTIME), ...args].map(quoted).join(" ");
    // Ctrl-C reaches this shell too; it is to outlive the command.
    const line = `trap : INT; cd ${
      quoted(ROOT)
    }; ${prefix} ${limpet}; echo "left with $?"; cat`;
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
    await eventually(fits, () => `${end} in\n${this.screen()}`);
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
