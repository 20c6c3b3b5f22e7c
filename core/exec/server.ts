/**
 * The server's side of exec: one value per session.
 *
 * @module
 */

import type { Channel } from "../channel/channel.ts";
import { counted } from "../counted.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { brief, decodeControl, type Fields } from "../frame/control.ts";
import { FrameType } from "../frame/frame.ts";
import type { Memory } from "../memory.ts";
import type { Command, ConsoleText, ProcessHandle, Spawner } from "../ports.ts";
import type { Authorized } from "./authorized.ts";
import { type Console, consoleText } from "./console_text.ts";
import type { ExecEvent } from "./events.ts";
import { inherited } from "./environment.ts";
import type { TerminationReason } from "./exit.ts";
import { factsOf } from "./facts.ts";
import { Job, type JobHost, type JobTicket } from "./job.ts";
import { Leftovers } from "./leftovers.ts";
import { Pacer } from "./pacer.ts";
import { printable } from "../printable.ts";
import { type ExecRequest, readingOpen, readRequest } from "./request.ts";
import { type Outputs, reservationFor } from "./reservation.ts";

/** What a session asks of all jobs of its server. */
export interface JobsOfSession {
  enter(job: Job, request: ExecRequest): Promise<JobTicket>;
  keep(
    channel: Channel,
    request: ExecRequest,
    host: Omit<JobHost, "enter">,
    done: () => void,
    notStarted: () => void,
  ): void;
  /** Reads OPEN of the kind `attach`. */
  attach(fields: Fields): {
    readonly wish: Outputs;
    begin(channel: Channel, done: () => void): void;
  };
  /** Reads OPEN of the kind `jobs`. */
  ask(fields: Fields): (channel: Channel, done: () => void) => void;
}

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
  /** Ends the session: what became of a command of it cannot be told. */
  readonly untold: (error: LimpetError) => void;
  readonly jobs: JobsOfSession;
  /** Where what commands may make us hold is set aside. */
  readonly memory: Memory;
  /** What a client may send of each stdin without asking, in bytes. */
  readonly windowBytes: number;
}

/** See the module's description. */
export class ExecServer implements JobHost {
  readonly #options: ExecServerOptions;
  /** Commands that end with the session. */
  readonly #jobs = new Set<Job>();
  /** What is there for each channel and each command, with the bytes set aside. */
  readonly #held = new Map<object, number>();
  readonly #leftovers = new Leftovers();
  readonly #pacer = new Pacer();
  /** Commands that have not ended. */
  #running = 0;
  #closing = false;
  readonly #drained = deferred<void>();

  constructor(options: ExecServerOptions) {
    this.#options = options;
  }

  /**
   * A client opened a channel, perhaps one that is refused for `full`. Throws for
   * what is not even a JSON object.
   */
  open(channel: Channel, payload: Uint8Array, full: LimpetError | null): void {
    const fields = decodeControl(payload, "OPEN");
    let request: ExecRequest | undefined;
    try {
      readingOpen(() => {
        const kind = fields.text("kind");
        if (kind === "exec") {
          request = readRequest(fields);
          if (full !== null) throw full;
          return this.#run(channel, request, payload.byteLength);
        }
        if (full !== null) throw full;
        this.#checkOpen();
        const { jobs } = this.#options;
        if (kind === "attach") {
          const { wish, begin } = jobs.attach(fields);
          begin(channel, this.#reserve(wish, payload.byteLength));
        } else if (kind === "jobs") {
          const ask = jobs.ask(fields);
          ask(channel, this.#reserve(NO_STREAMS, payload.byteLength));
        } else throw unknownKind(kind);
      });
    } catch (thrown) {
      const error = asLimpetError(thrown, "refused", "Request");
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
      channel.end();
    }
  }

  /** Commands that end with the session, or whose output is still being sent. */
  get jobCount(): number {
    return this.#jobs.size;
  }

  /** Commands that have not ended, jobs that it has started included. */
  get runningCount(): number {
    return this.#running;
  }

  /** Takes no more commands; settles when those there are have come to an end. */
  drain(): Promise<void> {
    this.#closing = true;
    if (this.#held.size === 0) this.#drained.resolve();
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
    for (const job of [...this.#jobs]) job.giveUp("shutting_down");
    const running = [...this.#jobs].map((job) =>
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

  untold(error: LimpetError): void {
    this.#options.untold(error);
  }

  finished(job: Job): void {
    this.#jobs.delete(job);
    this.#release(job);
  }

  enter(job: Job, request: ExecRequest): Promise<JobTicket> {
    return this.#options.jobs.enter(job, request);
  }

  #run(channel: Channel, request: ExecRequest, requestBytes: number): void {
    this.#checkOpen();
    this.#checkRoom();
    const { onDisconnect = "kill" } = request;
    if (onDisconnect === "kill") {
      const bytes = this.#take(request, requestBytes);
      this.#running++;
      const job = new Job(channel, request, this);
      this.#held.set(job, bytes);
      this.#jobs.add(job);
      return;
    }
    const finished = this.#reserve(request, requestBytes);
    let done: () => void;
    try {
      done = this.#reserve(request, requestBytes);
    } catch (error) {
      finished();
      throw error;
    }
    this.#running++;
    const host: Omit<JobHost, "enter"> = {
      authorize: (request) => this.authorize(request),
      start: (command) => this.start(command),
      environment: () => this.environment(),
      consoleText: (request) => this.consoleText(request),
      report: (event) => this.report(event),
      exited: () => {
        this.#running--;
        this.#options.ended();
      },
      finished,
      // Its entry says so.
      untold: () => {},
    };
    this.#options.jobs.keep(channel, request, host, done, () => {
      this.#running--;
      finished();
    });
  }

  /** Sets memory aside; what is returned gives it back. */
  #reserve(outputs: Outputs, requestBytes: number): () => void {
    const key = {};
    this.#held.set(key, this.#take(outputs, requestBytes));
    return () => this.#release(key);
  }

  #release(key: object): void {
    this.#options.memory.give(this.#held.get(key) ?? 0);
    this.#held.delete(key);
    if (this.#closing && this.#held.size === 0) this.#drained.resolve();
  }

  #take(outputs: Outputs, requestBytes: number): number {
    const { memory, windowBytes } = this.#options;
    const bytes = reservationFor(outputs, requestBytes, windowBytes);
    const full = memory.take(bytes);
    if (full === null) return bytes;
    throw new LimpetError(
      "limit_exceeded",
      `Command may need ${bytes} bytes of buffers, and of ${full.max} that the ` +
        `server's limit ${full.name} allows ${full.held} are taken`,
    );
  }

  #checkOpen(): void {
    if (this.#closing) {
      throw new LimpetError("shutting_down", "Server is going down");
    }
  }

  #checkRoom(): void {
    if (this.#running < this.#options.maxCommands) return;
    throw new LimpetError(
      "limit_exceeded",
      `Server runs ${
        counted(this.#running, "command")
      } for this session already, as ` +
        "many as its limit maxCommands (--max-commands) allows",
    );
  }
}

const NO_STREAMS: Outputs = {
  stdin: false,
  stdout: false,
  stderr: false,
  merge: false,
};

function unknownKind(kind: string): LimpetError {
  return new LimpetError(
    "unsupported",
    `Server knows no channels of kind "${printable(kind)}": there are exec, ` +
      "attach and jobs",
  );
}
