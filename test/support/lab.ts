/**
 * The lab of the runtime that the suite is running on, in this process: its
 * sockets, and its command line with what a test puts in place of something.
 *
 * @module
 */

import { main } from "../../core/cli/main.ts";
import type { CliRuntime } from "../../core/cli/runtime.ts";
import type { LabSocket, LabSockets } from "../../core/lab/sockets.ts";

const own: { cliRuntime(): CliRuntime } = typeof Deno === "undefined"
  ? await import("../../adapters/node/cli_runtime.ts")
  : await import("../../adapters/deno/cli_runtime.ts");

/** All of the lab, as the help and README.md have it. */
export const ALL_AS_OBJECT: readonly string[] = ["lab", "all", "--json"];
export const ALL_IN_CHINESE: readonly string[] = ["lab", "all", "--lang", "zh"];

/** The real thing. */
export const labSockets: LabSockets = await own.cliRuntime().labSockets();

/** What became of a command line. */
export interface LabOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `limpet lab …` in this process. */
export async function labHere(
  words: readonly string[],
  changes: {
    readonly sockets?: LabSockets;
    readonly columns?: number;
    readonly env?: Readonly<Record<string, string>>;
    /** Ctrl-C comes as soon as this is on stdout. */
    readonly interruptAt?: string;
  } = {},
): Promise<LabOutcome> {
  const written = { stdout: "", stderr: "" };
  const { interruptAt } = changes;
  let interrupt = () => {};
  const output = (name: "stdout" | "stderr") => ({
    isTerminal: changes.columns !== undefined,
    columns: () => changes.columns ?? null,
    write: (bytes: Uint8Array) => {
      written[name] += new TextDecoder().decode(bytes);
      if (interruptAt !== undefined && written.stdout.includes(interruptAt)) {
        interrupt();
      }
      return Promise.resolve();
    },
  });
  const real = own.cliRuntime();
  const code = await main({
    ...real,
    args: ["lab", ...words],
    env: (name) => changes.env?.[name],
    stdout: output("stdout"),
    stderr: output("stderr"),
    onSignal: (name, action) => {
      if (name === "SIGINT") interrupt = action;
      return () => {};
    },
    labSockets: () => Promise.resolve(changes.sockets ?? labSockets),
  });
  return { code, ...written };
}

/** The same sockets, except for what `change` does to each TCP socket. */
export function changed(
  change: (socket: LabSocket) => Partial<LabSocket>,
): LabSockets {
  const wrap = (socket: LabSocket): LabSocket => ({
    recv: (maxBytes) => socket.recv(maxBytes),
    send: (bytes) => socket.send(bytes),
    setNoDelay: (on) => socket.setNoDelay(on),
    close: () => socket.close(),
    ...change(socket),
  });
  return {
    ...labSockets,
    async listen(port) {
      const listener = await labSockets.listen(port);
      return {
        address: listener.address,
        accept: async () => wrap(await listener.accept()),
        close: () => listener.close(),
      };
    },
    dial: async (to) => wrap(await labSockets.dial(to)),
  };
}
