/**
 * The command line in a terminal of which every byte counts: tmux, which
 * terminal.ts has, speaks UTF-8 alone.
 *
 * @module
 */

import { type RunOptions, start } from "./cli.ts";
import { concat } from "./bytes.ts";
import { eventually } from "./leaks.ts";
import { childrenOf } from "./proc.ts";
import { cli, THIS_RUNTIME } from "./runtimes.ts";

/**
 * Runs a program in a terminal of its own. What it is given goes in byte by
 * byte: one is typed when the one before has been read.
 */
const IN_A_TERMINAL = `
import array, fcntl, os, select, struct, sys, termios, time
master, slave = os.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.closerange(3, 64)
    os.execvp(sys.argv[1], sys.argv[1:])
def unread():
    count = array.array("i", [0])
    fcntl.ioctl(slave, termios.FIONREAD, count)
    return count[0]
def show():
    while select.select([master], [], [], 0)[0]:
        os.write(1, os.read(master, 65536))
typed, ended = b"", False
while True:
    fds = [master] if ended or typed else [master, 0]
    select.select(fds, [], [], 0.005 if typed else 0.05)
    show()
    if not ended and select.select([0], [], [], 0)[0]:
        more = os.read(0, 65536)
        ended, typed = more == b"", typed + more
    if typed and unread() == 0:
        os.write(master, typed[:1])
        typed = typed[1:]
    gone, status = os.waitpid(pid, os.WNOHANG)
    if gone:
        show()
        sys.exit(os.waitstatus_to_exitcode(status))
`;

/** `limpet` in a terminal. */
export class BytesTerminal {
  readonly outcome: Promise<{ code: number | null; stderr: string }>;
  readonly #python: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #write: (bytes: Uint8Array) => void;
  readonly #read: (bytes: Uint8Array) => string;

  /** `read` is what this terminal shows for bytes. */
  constructor(
    args: readonly string[],
    read: (bytes: Uint8Array) => string,
    options: RunOptions = {},
  ) {
    const words = [...cli(THIS_RUNTIME), ...args];
    const { child, outcome } = start(
      ["python3", "-c", IN_A_TERMINAL, ...words],
      { ...options, input: "pipe" },
    );
    child.stdout!.on(
      "data",
      (chunk) => this.#chunks.push(new Uint8Array(chunk)),
    );
    this.#write = (bytes) => child.stdin!.write(bytes);
    this.#read = read;
    this.#python = child.pid!;
    this.outcome = outcome;
  }

  /** The program's own process. */
  async pid(): Promise<number> {
    const pids = () => childrenOf(this.#python);
    await eventually(() => pids().length === 1, () => `one of ${pids()}`);
    return parseInt(pids()[0]);
  }

  type(bytes: Uint8Array): void {
    this.#write(bytes);
  }

  /** Everything that was written, control characters included. */
  text(): string {
    return this.#read(concat(this.#chunks));
  }

  /**
   * Waits until this was written since the last time; resolves to all that was
   * written since then, up to its end.
   */
  async shows(text: string): Promise<string> {
    const at = () => this.text().indexOf(text, this.#seen);
    await eventually(
      () => at() >= 0,
      () =>
        `${JSON.stringify(text)} in ${
          JSON.stringify(this.text().slice(this.#seen))
        }`,
    );
    const end = at() + text.length;
    const shown = this.text().slice(this.#seen, end);
    this.#seen = end;
    return shown;
  }
  #seen = 0;
}
