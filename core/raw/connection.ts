/**
 * One connection to a raw server: one command after another, until its client
 * leaves.
 *
 * @module
 */

import { counted } from "../counted.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { consoleText } from "../exec/console_text.ts";
import { inherited } from "../exec/environment.ts";
import { Leftovers } from "../exec/leftovers.ts";
import { OutputPump, readerOf } from "../exec/output_pump.ts";
import { ProcessTree } from "../exec/process_tree.ts";
import { DEFAULT_DRAIN_MS } from "../exec/request.ts";
import { DEFAULT_SERVER_LIMITS } from "../server_limits.ts";
import type { Duplex, ProcessHandle } from "../ports.ts";
import { decodeText, findCodec, type TextCodec } from "../text/mod.ts";
import { KeptOutput, SentOutput } from "./answer.ts";
import {
  DEFAULT_MAX_CONNECTIONS,
  type RawEventBody,
  type RawServeOptions,
} from "./options.ts";
import { Receiver, RECV_BYTES } from "./receiver.ts";
import { mayBecomeRequest, strangerIn } from "./stranger.ts";

/** How long a client that we hang up on may take to end its side. */
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * How long first bytes that may be the beginning of a browser's request wait for
 * its rest. On one machine the parts of one write are microseconds apart.
 */
const DOUBT_MS = 200;

const DEFAULT_MAX_STDERR_BYTES = 16 * 1_048_576;

/** Whether a connection is one too many, and whether it is told so. */
export interface Admission {
  readonly isRefused: boolean;
  readonly isTold: boolean;
}

/** See the module's description. */
export class Connection {
  readonly over: Promise<void>;
  readonly #id: number;
  readonly #peer: string;
  readonly #options: RawServeOptions;
  readonly #receiver: Receiver;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #leftovers = new Leftovers();
  readonly #codec: TextCodec;
  readonly #admission: Admission;
  #graceMs: number;
  #tree: ProcessTree | null = null;
  #stdout: SentOutput | null = null;
  #lost: LimpetError | null = null;
  #closing = false;
  #hasEnded = false;
  #sending = 0;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(
    duplex: Duplex,
    id: number,
    options: RawServeOptions,
    admission: Admission,
  ) {
    this.#id = id;
    this.#admission = admission;
    this.#peer = duplex.peer ?? "peer";
    this.#options = options;
    this.#graceMs = options.graceMs ?? DEFAULT_SERVER_LIMITS.shutdownGraceMs;
    const { encoding, encodings } = options.console ?? { encoding: "utf-8" };
    this.#codec = findCodec(encoding, encodings);
    this.#receiver = new Receiver(duplex.readable);
    this.#writer = duplex.writable.getWriter();
    // A lost connection shows in reads and writes; nobody awaits these two.
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
    this.#receiver.ended.then((error) => {
      if (error !== null) return this.#gone(error);
      this.#hasEnded = true;
      this.#listenForSilence();
    });
    this.#receiver.onFull = () => this.#listenForSilence();
    this.over = this.#run();
  }

  /** Ends what runs, then the connection. Settles when both are over. */
  async close(graceMs: number = this.#graceMs): Promise<void> {
    this.#closing = true;
    this.#graceMs = Math.min(this.#graceMs, graceMs);
    await this.#tree?.terminate("shutting_down", "SIGTERM", this.#graceMs);
    this.#receiver.cancel();
    // Its client may be one that takes nothing.
    const timer = setTimeout(() => this.#abort(), CLOSE_TIMEOUT_MS);
    await this.over;
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    if (this.#admission.isRefused) return await this.#refuse();
    this.#report({ type: "connected" });
    let message = "the client has left";
    try {
      await this.#talk();
    } catch (thrown) {
      ({ message } = asLimpetError(thrown, "connection_lost", "Connection"));
    }
    await Promise.all([
      this.#hangUp(),
      this.#leftovers.end("disconnected", this.#graceMs),
    ]);
    if (this.#closing) message = "the server is shutting down";
    this.#report({ type: "disconnected", message });
  }

  async #refuse(): Promise<void> {
    const { maxConnections = DEFAULT_MAX_CONNECTIONS } = this.#options;
    this.#report({ type: "too_many", maxConnections });
    if (!this.#admission.isTold) return this.#abort();
    this.#sendText(
      `limpet: refused, because ${
        counted(maxConnections, "connection is", "connections are")
      } open and there may be no more. Try again when one has ended\n`,
    ).catch(() => {});
    await this.#hangUp();
  }

  async #talk(): Promise<void> {
    await this.#receiver.hasMoreThan(0);
    // What comes while we are in doubt is no part of the first command.
    const first = Math.min(this.#receiver.available, RECV_BYTES);
    const stranger = await this.#strangerAtDoor();
    if (stranger !== null) return await this.#turnAway(stranger);
    if (this.#lost !== null) throw this.#lost;
    for (let max = first; !this.#closing; max = RECV_BYTES) {
      const bytes = await this.#receiver.recv(max);
      if (bytes === null) return;
      await this.#command(decodeText(bytes, this.#codec));
      if (this.#lost !== null) throw this.#lost;
    }
  }

  /**
   * Who it is that sent no command. Its first bytes may be a request that was
   * cut on its way; then the next ones tell, and what is followed by nothing is
   * a command. A browser sends its request line in one write, and this server is
   * on the browser's machine: the rest is there at once, if there is one.
   */
  async #strangerAtDoor(): Promise<string | null> {
    for (;;) {
      const seen = this.#receiver.peek(RECV_BYTES);
      const stranger = strangerIn(seen);
      if (stranger !== null || !mayBecomeRequest(seen)) return stranger;
      const late = new AbortController();
      const ms = this.#options.doubtMs ?? DOUBT_MS;
      const timer = setTimeout(() => late.abort(), ms);
      const { byteLength } = seen;
      const isMore = await this.#receiver.hasMoreThan(byteLength, late.signal);
      clearTimeout(timer);
      if (!isMore) return null;
    }
  }

  async #turnAway(sent: string): Promise<void> {
    this.#report({ type: "turned_away", sent });
    // Whoever speaks something else shows the beginning of this at best.
    await this.#sendText(
      "limpet serve --raw is here: use raw://, not tcp://.\n" +
        `It takes plain lines, and this was ${sent}. Nothing was run.\n`,
    );
  }

  async #command(line: string): Promise<void> {
    const { spawner, environment, console, maxStderrBytes } = this.#options;
    let handle: ProcessHandle;
    try {
      handle = await spawner({
        line,
        env: inherited(environment()),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        consoleText: console && await consoleText({ env: {} }, console),
      });
    } catch (thrown) {
      const { message } = asLimpetError(thrown, "spawn_failed", "Cannot start");
      this.#report({ type: "command_refused", message });
      return await this.#sendText(`${message}\n`);
    }
    this.#report({ type: "command_started", pid: handle.pid, line });
    const tree = new ProcessTree(handle, this.#graceMs);
    this.#tree = tree;
    const stdout = new SentOutput((bytes) => this.#send(bytes));
    this.#stdout = stdout;
    const stderr = new KeptOutput(
      maxStderrBytes ?? DEFAULT_MAX_STDERR_BYTES,
      () => tree.terminate("limit_exceeded"),
    );
    const output = readerOf(handle, "stdout");
    const errors = readerOf(handle, "stderr");
    const pumps = [
      ...(output === null
        ? []
        : [new OutputPump(output, stdout, null, handle.recycle)]),
      ...(errors === null ? [] : [new OutputPump(errors, stderr)]),
    ];
    // It may have happened while the process was being started.
    if (this.#lost !== null) this.#gone(this.#lost);
    if (this.#closing) tree.terminate("shutting_down");
    this.#listenForSilence();
    const { code, signal } = await handle.status;
    if (tree.reason !== null) await tree.terminate(tree.reason);
    for (const pump of pumps) pump.commandEnded(DEFAULT_DRAIN_MS);
    await Promise.all([stdout.done, stderr.done]);
    clearTimeout(this.#silence);
    this.#tree = null;
    this.#stdout = null;
    this.#leftovers.keep(handle);
    const { reason } = tree;
    const success = code === 0 && reason === null;
    const status = { success, code, signal, reason };
    this.#report({ type: "command_ended", status });
    if (this.#lost !== null) return;
    for (const chunk of stderr.chunks) await this.#send(chunk);
    if (code === null && signal === null) {
      await this.#sendText("limpet: ended, and nobody can tell how\n");
    }
    if (reason === "limit_exceeded") {
      await this.#sendText("limpet: ended, because it wrote too much stderr\n");
    }
  }

  async #sendText(text: string): Promise<void> {
    await this.#send(new TextEncoder().encode(text));
  }

  async #send(bytes: Uint8Array): Promise<void> {
    this.#sending++;
    try {
      await this.#writer.write(bytes);
    } catch (thrown) {
      const error = asLimpetError(thrown, "connection_lost", "Connection lost");
      this.#gone(error);
      throw error;
    } finally {
      this.#sending--;
    }
    this.#listenForSilence();
  }

  /** The client has gone: so does its command. */
  #gone(error: LimpetError): void {
    this.#lost = error;
    this.#tree?.terminate("disconnected");
    this.#stdout?.stop();
  }

  /** From now on, if a command runs whose client may have gone unseen. */
  #listenForSilence(): void {
    clearTimeout(this.#silence);
    const mayHaveGone = this.#hasEnded || this.#receiver.isFull;
    if (!mayHaveGone || this.#tree === null) return;
    this.#silence = setTimeout(() => {
      // Bytes that wait to be taken will tell by themselves who is there.
      if (this.#sending > 0) return;
      this.#gone(
        new LimpetError(
          "connection_lost",
          `Client ${
            this.#hasEnded ? "ended its side" : "sent more than is read ahead"
          }, and its command was silent since`,
        ),
      );
    }, this.#options.silenceMs ?? 5_000);
  }

  /** So that what was sent last arrives, if there is still somebody. */
  async #hangUp(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    if (this.#lost === null) {
      // Dropping a socket with unread bytes resets it.
      const goodbye = this.#writer.close().then(() => this.#drain());
      await Promise.race([goodbye.catch(() => {}), patience]);
    }
    clearTimeout(timer);
    this.#abort();
  }

  async #drain(): Promise<void> {
    while (await this.#receiver.recv(RECV_BYTES) !== null);
  }

  #abort(): void {
    this.#receiver.cancel();
    this.#writer.abort().catch(() => {});
  }

  #report(event: RawEventBody): void {
    try {
      this.#options.onEvent?.({
        session: this.#id,
        peer: this.#peer,
        ...event,
      });
    } catch {
      // It was told not to throw, and a command is not to pay for it.
    }
  }
}
