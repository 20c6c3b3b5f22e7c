/**
 * The raw protocol's servers and clients, as processes of their own, and the
 * lesson's programs in Python.
 *
 * @module
 */

import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { Receiver } from "../../core/raw/receiver.ts";
import { adapter } from "./adapter.ts";
import { concat } from "./bytes.ts";
import {
  expectOwnWords,
  type Running,
  type RunOptions,
  start,
  startLimpet,
} from "./cli.ts";
import { eventually } from "./leaks.ts";
import { childrenOf } from "./proc.ts";
import { ROOT } from "./runtimes.ts";

/** A server in a process of its own, and how to reach it. */
export interface RawProcess {
  readonly running: Running;
  readonly port: number;
  /** `raw://127.0.0.1:40123` */
  readonly address: string;
}

/** `limpet serve --raw` on a free port. */
export async function startRaw(
  flags: readonly string[] = [],
  options: RunOptions = {},
): Promise<RawProcess> {
  const running = startLimpet(
    ["serve", "--raw", "--insecure", ...flags, "tcp://127.0.0.1:0"],
    options,
  );
  await running.complains("listening on tcp://127.0.0.1:");
  return reached(running, running.stderr());
}

/**
 * One server for all tests of the enclosing block. After each of them nothing of
 * theirs may run, and in the end it stops as {@linkcode stopRaw} says.
 */
export function useRaw(): () => RawProcess {
  let server: RawProcess | undefined;
  const started = () => {
    if (server === undefined) throw new Error("The raw server has not started");
    return server;
  };
  beforeAll(async () => {
    server = await startRaw([], { outlivesTest: true });
  });
  afterEach(async () => {
    const { pid } = started().running;
    await eventually(
      () => childrenOf(pid).length === 0,
      () => `children of the raw server are left: ${childrenOf(pid)}`,
    );
  });
  afterAll(async () => {
    if (server !== undefined) await stopRaw(server);
  });
  return started;
}

/** SIGTERM: it ends with 0, and has said nothing but its own. Returns that. */
export async function stopRaw({ running }: RawProcess): Promise<string> {
  running.kill("SIGTERM");
  const { code, stderr } = await running.outcome;
  expect(code).toBe(0);
  expectOwnWords(stderr);
  return stderr;
}

/** The lesson's server on a free port. */
export async function startLesson(...flags: string[]): Promise<RawProcess> {
  const running = start(
    ["python3", lesson("server"), "127.0.0.1", "0", ...flags],
  );
  await running.says("listening on 127.0.0.1:");
  return reached(running, running.stdout());
}

/** One of the lesson's programs. */
export function lesson(which: "server" | "client"): string {
  return join(ROOT, "test", "interop", `lesson_${which}.py`);
}

function reached(running: Running, said: string): RawProcess {
  const port = Number(/listening on \S+:(\d+)/.exec(said)?.[1]);
  return { running, port, address: `raw://127.0.0.1:${port}` };
}

/** Runs the lesson's client with these lines to its end. */
export function lessonClient(
  port: number,
  lines: readonly string[],
  ...flags: string[]
): Promise<{ code: number | null; stderr: string; answers: string[] }> {
  const { outcome } = start(
    ["python3", lesson("client"), "127.0.0.1", String(port), ...flags],
    { input: lines.join("\n"), env: { PYTHONIOENCODING: "utf-8" } },
  );
  return outcome.then(({ code, stderr, stdout }) => {
    // After each prompt an answer and the end of its line; after the last none.
    const answers = stdout.split(">>: ").slice(1, -1);
    return { code, stderr, answers: answers.map((each) => each.slice(0, -1)) };
  });
}

/** A connection of which a test decides every byte. */
export class Plain {
  readonly #receiver: Receiver;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(
    receiver: Receiver,
    writer: WritableStreamDefaultWriter<Uint8Array>,
  ) {
    this.#receiver = receiver;
    this.#writer = writer;
  }

  static async to(port: number): Promise<Plain> {
    const duplex = await adapter.dial({
      kind: "tcp",
      hostname: "127.0.0.1",
      port,
    });
    const writer = duplex.writable.getWriter();
    writer.closed.catch(() => {});
    writer.ready.catch(() => {});
    return new Plain(new Receiver(duplex.readable), writer);
  }

  async send(what: string | Uint8Array): Promise<void> {
    const bytes = typeof what === "string"
      ? new TextEncoder().encode(what)
      : what;
    await this.#writer.write(bytes);
  }

  /** Ends our side alone. */
  async end(): Promise<void> {
    await this.#writer.close();
  }

  /** Takes exactly so many bytes, or what comes before the end. */
  async take(length: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for (let missing = length; missing > 0;) {
      const bytes = await this.#receiver.recv(missing);
      if (bytes === null) break;
      chunks.push(bytes);
      missing -= bytes.byteLength;
    }
    return concat(chunks);
  }

  /** The text of exactly so many bytes. */
  async text(length: number): Promise<string> {
    return new TextDecoder().decode(await this.take(length));
  }

  /** The text of everything up to the end. */
  rest(): Promise<string> {
    return this.text(Infinity);
  }

  /** Settles when the server has ended the connection, however. */
  get ended(): Promise<unknown> {
    return this.#receiver.ended;
  }

  close(): void {
    this.#receiver.cancel();
    this.#writer.abort().catch(() => {});
  }
}
