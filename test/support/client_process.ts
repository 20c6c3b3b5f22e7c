/**
 * A client that runs commands of known outcome, in a process of its own:
 * `test/cuts/client.mjs`.
 *
 * @module
 */

import { join } from "node:path";
import { start } from "./cli.ts";
import { eventually } from "./leaks.ts";
import { openOf, whatIsOpen } from "./processes.ts";
import { DENO_SERVE_FLAGS, program, ROOT, type Runtime } from "./runtimes.ts";

/** What it is to do; see the script. */
export interface Task {
  readonly address: string;
  readonly token: string;
  readonly keepaliveMs: number;
  /** Where each command adds its number, on a line of its own. */
  readonly file: string;
  /** Instead of the script: so many bytes through `cat` and back. */
  readonly bytes?: number;
}

/** What came of it. */
export interface Done {
  /** How many commands: each has added its number. */
  readonly started: number;
  readonly problems: readonly string[];
  /** Whether the session was lost. */
  readonly over: boolean;
}

/** See the module's description. */
export interface ClientProcess {
  readonly pid: number;
  /** How often it came back, and how long each took, in ms. */
  absences(): number[];
  /** The codes of the losses that it noticed. */
  losses(): string[];
  /** Whether it has come to its end, other than by `stop`. */
  done(): boolean;
  /** Lets it finish what it runs; what it holds is no more than at first. */
  stop(): Promise<Done>;
  /** Ends its session; fails unless it then ends by itself. */
  close(): Promise<void>;
}

type Line =
  | { readonly event: "ready" }
  | { readonly event: "disconnected"; readonly code: string }
  | { readonly event: "resumed"; readonly afterMs: number }
  | { readonly event: "done" } & Done;

/** Starts one, with a program before it if that is wanted (`ip netns exec`). */
export async function startClient(
  runtime: Runtime,
  task: Task,
  before: readonly string[] = [],
): Promise<ClientProcess> {
  const flags = runtime === "deno"
    ? [
      "run",
      "--quiet",
      "--no-prompt",
      `--config=${join(ROOT, "deno.json")}`,
      ...DENO_SERVE_FLAGS,
    ]
    : [];
  const script = join(ROOT, "test", "cuts", "client.mjs");
  const running = start([
    ...before,
    program(runtime),
    ...flags,
    script,
    JSON.stringify(task),
  ], { input: "pipe", timeoutMs: PATIENCE_MS });
  const lines = (): Line[] =>
    running.stdout().split("\n").slice(0, -1).map((line) => JSON.parse(line));
  const of = <E extends Line["event"]>(event: E) =>
    lines().filter((line): line is Extract<Line, { event: E }> =>
      line.event === event
    );
  await running.says('{"event":"ready"}');
  const open = whatIsOpen(running.pid);
  // Deno itself may open a pair of sockets, both ends its own, when it goes on
  // after a stop.
  const most = open.length + (runtime === "deno" ? 2 : 0);
  return {
    pid: running.pid,
    absences: () => of("resumed").map(({ afterMs }) => afterMs),
    losses: () => of("disconnected").map(({ code }) => code),
    done: () => of("done").length > 0,
    stop: async () => {
      running.child.stdin!.write("stop\n");
      await running.says('{"event":"done"');
      await eventually(
        () => openOf(running.pid) <= most,
        () =>
          `the client holds ${whatIsOpen(running.pid)}, before it held ${open}`,
      );
      return of("done")[0];
    },
    close: async () => {
      running.child.stdin!.end("close\n");
      const { code, stderr } = await running.outcome;
      if (code !== 0) {
        throw new Error(`The client ended with ${code}: ${stderr}`);
      }
    },
  };
}

/** For hundreds of cuts on a busy machine. */
const PATIENCE_MS = 1_800_000;
