/**
 * The server's side of exec: one value per session.
 *
 * @module
 */

import type { Channel } from "../channel/channel.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { brief } from "../frame/control.ts";
import { FrameType } from "../frame/frame.ts";
import type { Memory } from "../memory.ts";
import type { Command, ConsoleText, ProcessHandle, Spawner } from "../ports.ts";
import type { Authorized } from "./authorized.ts";
import { type Console, consoleText } from "./console_text.ts";
import type { ExecEvent } from "./events.ts";
import { inherited } from "./environment.ts";
import type { TerminationReason } from "./exit.ts";
import { factsOf } from "./facts.ts";
import { Job, type JobHost } from "./job.ts";
import { Leftovers } from "./leftovers.ts";
import { Pacer } from "./pacer.ts";
import { decodeRequest, type ExecRequest } from "./request.ts";
import { reservationFor } from "./reservation.ts";

/** What a server runs commands with. */
export interface ExecServerOptions {
  readonly spawner: Spawner;
  /** The environment commands get, before their own variables. */
  readonly environment: () => Record<string, string>;
  /** How commands get their text. */
  readonly console: Console;
  /** Commands running at once. */
  readonly maxCommands: number;
  /** From SIGTERM to SIGKILL at most, once nobody is left to wait for it. */
  readonly shutdownGraceMs: number;
  /** Decides what becomes of a request; rejects with the reason for REFUSED. */
  readonly authorize: (request: ExecRequest) => Promise<Authorized>;
  /** A command that was asked about has ended, or did not start. */
  readonly ended: () => void;
  readonly report: (event: ExecEvent) => void;
  /** Where what commands may make us hold is set aside. */
  readonly memory: Memory;
  /** What a client may send of each stdin without asking, in bytes. */
  readonly windowBytes: number;
}

/** See the module's description. */
export class ExecServer implements JobHost {
  readonly #options: ExecServerOptions;
  /** Jobs, each with the bytes set aside for it. */
  readonly #jobs = new Map<Job, number>();
  readonly #leftovers = new Leftovers();
  readonly #pacer = new Pacer();
  /** Commands that have not ended. */
  #running = 0;
  #closing = false;
  readonly #drained = deferred<void>();

  constructor(options: ExecServerOptions) {
    this.#options = options;
  }

  /** A client opened a channel, perhaps one that is refused for `full`. */
  open(channel: Channel, payload: Uint8Array, full: LimpetError | null): void {
    let request: ExecRequest | undefined;
    let reserved: number;
    try {
      request = decodeRequest(payload);
      if (full !== null) throw full;
      this.#checkRoom();
      reserved = this.#reserve(request, payload.byteLength);
    } catch (thrown) {
      const error = asLimpetError(thrown, "refused", "Request");
      // Not even a JSON object: that peer does not know the protocol.
      if (error.code === "protocol_error") throw error;
      const { code } = error;
      const message = brief(error.message);
      channel.send(FrameType.REFUSED, { code, message });
      this.report({
        type: "command_refused",
        command: channel.id,
        code,
        message,
        ...(request === undefined ? {} : factsOf(request)),
      });
      return channel.end();
    }
    this.#running++;
    this.#jobs.set(new Job(channel, request, this), reserved);
  }

  /** Commands that run, or whose output is still being sent. */
  get jobCount(): number {
    return this.#jobs.size;
  }

  /** Takes no more commands; settles when those there are have come to an end. */
  drain(): Promise<void> {
    this.#closing = true;
    if (this.#jobs.size === 0) this.#drained.resolve();
    return this.#drained.promise;
  }

  /**
   * The session is over for good: ends everything, settles when it is gone. What
   * does not go by itself is killed after `graceMs`, or sooner if its command
   * said so. Called again, the shorter time counts. What has not started is
   * refused, and what is being decided about it not waited for.
   */
  async shutdown(
    reason: TerminationReason,
    graceMs: number = this.#options.shutdownGraceMs,
  ): Promise<void> {
    this.#closing = true;
    for (const job of [...this.#jobs.keys()]) job.giveUp("shutting_down");
    const running = [...this.#jobs.keys()].map((job) =>
      job.terminate(reason, Math.min(job.killAfterMs, graceMs))
    );
    await Promise.all(running);
    await this.#leftovers.end(reason, graceMs);
  }

  authorize(request: ExecRequest): Promise<Authorized> {
    return this.#options.authorize(request);
  }

  start(command: () => Command): Promise<ProcessHandle> {
    return this.#pacer.run(() => this.#options.spawner(command()));
  }

  environment(): Record<string, string> {
    return inherited(this.#options.environment());
  }

  consoleText(request: ExecRequest): Promise<ConsoleText | undefined> {
    return consoleText(request, this.#options.console);
  }

  report(event: ExecEvent): void {
    this.#options.report(event);
  }

  exited(job: Job): void {
    this.#running--;
    this.#options.ended();
    if (job.handle !== null) this.#leftovers.keep(job.handle);
  }

  finished(job: Job): void {
    this.#options.memory.give(this.#jobs.get(job) ?? 0);
    this.#jobs.delete(job);
    if (this.#closing && this.#jobs.size === 0) this.#drained.resolve();
  }

  #reserve(request: ExecRequest, requestBytes: number): number {
    const { memory, windowBytes } = this.#options;
    const bytes = reservationFor(request, requestBytes, windowBytes);
    const full = memory.take(bytes);
    if (full === null) return bytes;
    throw new LimpetError(
      "limit_exceeded",
      `Command may need ${bytes} bytes of buffers, and of ${full.max} that the ` +
        `server's limit ${full.name} allows ${full.held} are taken`,
    );
  }

  #checkRoom(): void {
    if (this.#closing) {
      throw new LimpetError("shutting_down", "Server is going down");
    }
    if (this.#running < this.#options.maxCommands) return;
    throw new LimpetError(
      "limit_exceeded",
      `Server runs ${this.#running} commands for this session already, as many as ` +
        "its limit maxCommands (--max-commands) allows",
    );
  }
}
