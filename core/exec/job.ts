/**
 * One command on the server: from OPEN to the end of its last stream.
 *
 * @module
 */

import type { ChannelHandler } from "../channel/channel.ts";
import { HeldStream } from "../channel/held_stream.ts";
import { InputQueue } from "../channel/input_queue.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError, type ErrorCode, LimpetError } from "../errors.ts";
import { brief, decodeControl } from "../frame/control.ts";
import {
  type Frame,
  FrameType,
  misplaced,
  STDERR,
  STDIN,
  STDOUT,
} from "../frame/frame.ts";
import type {
  Command,
  ConsoleText,
  OutputReaders,
  ProcessHandle,
} from "../ports.ts";
import { printable } from "../printable.ts";
import type { Authorized } from "./authorized.ts";
import type { ExecEvent } from "./events.ts";
import { type CommandStatus, isTold, type TerminationReason } from "./exit.ts";
import { factsOf } from "./facts.ts";
import { pumpInput } from "./input_pump.ts";
import type { JobChannel, JobInput, JobOutput } from "./job_channel.ts";
import { OutputBudget } from "./output_budget.ts";
import { OutputPump, readerOf } from "./output_pump.ts";
import { ProcessTree } from "./process_tree.ts";
import {
  DEFAULT_KILL_AFTER_MS,
  type ExecRequest,
  MAX_TIMER_MS,
} from "./request.ts";
import { checkSignal } from "./signals.ts";

/** What all of a server's jobs know of one. */
export interface JobTicket {
  readonly id: string;
  started(pid: number): void;
  /** It has ended; null: it did not start. */
  exited(status: CommandStatus | null): void;
}

/** What a job needs of the server around it. */
export interface JobHost {
  /** Decides what is run; rejects with the reason for REFUSED. */
  authorize(request: ExecRequest): Promise<Authorized>;
  /** Gives it its name, once it may run; rejects if it may not have that name. */
  enter(job: Job, request: ExecRequest): Promise<JobTicket>;
  /**
   * Starts the process when it is its turn, or rejects with the reason for
   * REFUSED. What it is to start is asked for then.
   */
  start(command: () => Command): Promise<ProcessHandle>;
  /** The environment that the request's own variables are added to. */
  environment(): Record<string, string>;
  /** How the request's text is to reach the process. */
  consoleText(request: ExecRequest): Promise<ConsoleText | undefined>;
  report(event: ExecEvent): void;
  /** Called once the process has ended, or could not start. */
  exited(job: Job): void;
  /** Called once the process has ended and every stream has its END. */
  finished(job: Job): void;
  /**
   * Nobody can tell how it ended, or whether it has started: its client must not
   * hear of an outcome.
   */
  untold(error: LimpetError): void;
}

/** Over what something is asked for, and who is told of it. */
export interface Teller {
  /** The channel's number in its session. */
  readonly command: number;
  report(event: ExecEvent): void;
}

/** Something to do to a process, with the time it may take to end, in ms. */
type TreeAct = (tree: ProcessTree, graceMs: number) => void;

/** See the module's description. */
export class Job implements ChannelHandler {
  readonly #channel: JobChannel;
  readonly #request: ExecRequest;
  readonly #host: JobHost;
  readonly #stdin: JobInput | null;
  readonly #outputs: JobOutput[] = [];
  readonly #stdout: JobOutput | null;
  readonly #stderr: JobOutput | null;
  readonly #pumps = new Map<JobOutput, OutputPump>();
  #ticket: JobTicket | null = null;
  #tree: ProcessTree | null = null;
  /** From here on there may be a process, which is waited for. */
  #starting = false;
  #handle: ProcessHandle | null = null;
  /** What came before the process was there to get it, each kind once. */
  readonly #beforeStart = new Map<string, { act: TreeAct; graceMs: number }>();
  #stdinBytes = 0;
  #startedAt = 0;
  #ended: { status: CommandStatus; durationMs: number } | null = null;
  #exited = false;
  #lost = false;
  #finished = false;
  /** The client's own deadline, and the one that it has no say in. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #runtimeTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #done = deferred<void>();

  constructor(channel: JobChannel, request: ExecRequest, host: JobHost) {
    this.#channel = channel;
    this.#request = request;
    this.#host = host;
    const { stdin, stdout, stderr, merge } = request;
    this.#stdin = stdin ? this.#input(channel) : null;
    this.#stdout = stdout ? this.#output(STDOUT) : null;
    this.#stderr = stderr && !merge ? this.#output(STDERR) : null;
    channel.handler = this;
    this.#run().catch((error) => this.#refuse(error));
  }

  /** The process group, if the command had started. */
  get handle(): ProcessHandle | null {
    return this.#handle;
  }

  /** SIGTERM to SIGKILL, as the request had it. */
  get killAfterMs(): number {
    return this.#request.killAfterMs;
  }

  /**
   * Ends the command; settles when nothing is left of it. One that has not
   * started may still be started: see {@linkcode giveUp}.
   */
  async terminate(
    reason: TerminationReason,
    killAfterMs: number = this.#request.killAfterMs,
  ): Promise<void> {
    if (this.#exited) return;
    this.#withTree(
      reason,
      killAfterMs,
      (tree, graceMs) => tree.terminate(reason, "SIGTERM", graceMs),
    );
    await this.#done.promise;
  }

  /**
   * Refuses the command if nothing has been started of it yet. Whatever is being
   * decided is not waited for, and what it comes to counts for nothing.
   */
  giveUp(code: ErrorCode): void {
    if (this.#starting || this.#exited) return;
    const message = "Session ended before it was started";
    this.#refuse(new LimpetError(code, message));
  }

  /**
   * Once the command has ended: what it wrote itself is still read, and whatever
   * holds its streams open is not waited for.
   */
  endOutput(): void {
    if (!this.#exited) return;
    for (const pump of this.#pumps.values()) pump.commandEnded(0);
  }

  /** `by` is the session and channel that it comes over, if not its own. */
  message(frame: Frame, by: Teller = this.#self()): void {
    if (frame.type !== FrameType.SIGNAL) {
      misplaced(frame, "which only a server sends");
    }
    const fields = decodeControl(frame.payload, "SIGNAL");
    const signal = fields.text("signal", 20);
    const killAfterMs = fields.has("killAfterMs")
      ? fields.integer("killAfterMs", { max: MAX_TIMER_MS })
      : this.#request.killAfterMs;
    const terminate = fields.boolean("terminate", false);
    try {
      checkSignal(signal);
    } catch {
      throw fields.wrong("signal", "the name of a signal");
    }
    this.signal(signal, terminate, killAfterMs, by);
  }

  /** Sends a signal; `terminate` sees to the end after `killAfterMs` at most. */
  signal(
    signal: string,
    terminate: boolean,
    killAfterMs: number = this.#request.killAfterMs,
    { command, report }: Teller = this.#self(),
  ): void {
    if (this.#exited) return;
    report({
      type: "command_signalled",
      command,
      jobId: this.#ticket?.id,
      signal,
      terminate,
    });
    this.#withTree(`${signal} ${terminate}`, killAfterMs, (tree, graceMs) => {
      if (terminate) tree.terminate("cancelled", signal, graceMs);
      else tree.signal(signal);
    });
  }

  lost(error: LimpetError): void {
    this.giveUp(error.code);
    this.#lost = true;
    // Who has left the group of a command that has ended is not ended with it.
    const isGone = this.#exited && this.#handle?.groupAlive() === false;
    const leftMs = isGone ? 0 : DEFAULT_KILL_AFTER_MS;
    for (const pump of this.#pumps.values()) pump.abandon(leftMs);
    const closing = error.code === "shutting_down";
    this.terminate(closing ? "shutting_down" : "disconnected");
  }

  #self(): Teller {
    const report = (event: ExecEvent) => this.#host.report(event);
    return { command: this.#channel.id, report };
  }

  async #run(): Promise<void> {
    const authorized = await this.#host.authorize(this.#request);
    if (this.#exited) return;
    const ticket = await this.#host.enter(this, this.#request);
    if (this.#exited) return ticket.exited(null);
    this.#ticket = ticket;
    const { request } = authorized;
    const consoleText = await this.#host.consoleText(request);
    const handle = await this.#host.start(() => {
      if (this.#exited) throw new LimpetError("closed", "It was given up");
      this.#starting = true;
      return this.#command(authorized, consoleText);
    });
    this.#handle = handle;
    this.#startedAt = performance.now();
    const tree = new ProcessTree(handle, request.killAfterMs);
    this.#tree = tree;
    const { pid } = handle;
    this.#channel.send(FrameType.STARTED, { pid, jobId: ticket.id });
    ticket.started(pid);
    for (const output of this.#outputs) output.release();
    const asked = isSame(request, this.#request)
      ? null
      : factsOf(this.#request);
    this.#host.report({
      type: "command_started",
      command: this.#channel.id,
      jobId: ticket.id,
      pid,
      ...factsOf(request),
      requested: asked && asked.argv,
      requestedShell: asked && asked.shell,
    });
    for (const { act, graceMs } of this.#beforeStart.values()) {
      act(tree, graceMs);
    }
    this.#beforeStart.clear();
    this.#startTimers(authorized, tree);
    if (handle.stdin !== null && this.#stdin !== null) {
      const input = this.#stdin;
      const { queue } = input;
      // `pumpInput` takes a chunk when it has written the one before.
      if (queue !== undefined && handle.returnsStdin) {
        input.queue = new InputQueue(queue);
      }
      pumpInput(
        input.readable,
        handle.stdin,
        this.#done.promise,
        (bytes) => this.#stdinBytes += bytes,
        // Of memory that is used again one piece at a time is out.
        () => handle.returnsStdin ? 0 : input.queue?.byteLength ?? 0,
      );
    }
    const { maxOutputBytes } = authorized;
    const budget = maxOutputBytes === undefined
      ? null
      : new OutputBudget(maxOutputBytes, () => end(tree, "output_limit"));
    this.#pump(handle, "stdout", this.#stdout, budget);
    this.#pump(handle, "stderr", this.#stderr, budget);
    await this.#untilExit(handle, tree, authorized.endsLeftovers ?? false);
  }

  #startTimers(
    { request: { timeoutMs }, maxRuntimeMs }: Authorized,
    tree: ProcessTree,
  ): void {
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(() => tree.terminate("timed_out"), timeoutMs);
    }
    if (maxRuntimeMs !== undefined) {
      const ms = Math.min(maxRuntimeMs, MAX_TIMER_MS);
      this.#runtimeTimer = setTimeout(() => end(tree, "runtime_limit"), ms);
    }
  }

  async #untilExit(
    handle: ProcessHandle,
    tree: ProcessTree,
    endsLeftovers: boolean,
  ): Promise<void> {
    const { code, signal } = await handle.status;
    clearTimeout(this.#timer);
    // We ended it: it has ended when nothing of its group is left. Where that is
    // a rule, however patient the client said to be.
    if (tree.reason !== null) {
      await (endsLeftovers
        ? end(tree, tree.reason)
        : tree.terminate(tree.reason));
    } else if (endsLeftovers && handle.groupAlive()) {
      // It ended by itself, whatever becomes of what it left.
      await end(new ProcessTree(handle, DEFAULT_KILL_AFTER_MS), "left_behind");
    }
    clearTimeout(this.#runtimeTimer);
    const { reason } = tree;
    this.#ended = {
      status: { success: code === 0 && reason === null, code, signal, reason },
      durationMs: Math.round(performance.now() - this.#startedAt),
    };
    this.#exited = true;
    this.#ticket?.exited(this.#ended.status);
    this.#stdin?.fail(
      new LimpetError("broken_pipe", "The command has ended"),
    );
    const isKnown = isTold(this.#ended.status);
    if (!isKnown) this.#host.untold(howUnknown());
    if (isKnown || !this.#lost) {
      this.#channel.send(FrameType.EXIT, {
        code,
        signal,
        reason: reason ?? undefined,
      });
    }
    for (const pump of this.#pumps.values()) {
      pump.commandEnded(this.#request.drainMs);
    }
    this.#host.exited(this);
    this.#done.resolve();
    this.#settle();
  }

  #command(
    { request, environment, wrapper = [] }: Authorized,
    consoleText: ConsoleText | undefined,
  ): Command {
    const { argv, line, cwd, env, traceparent } = request;
    const { stdin, stdout, stderr, merge } = this.#request;
    const inherited = this.#host.environment();
    const separate = stderr ? "piped" : "null";
    return {
      ...(wrapper.length === 0
        ? { argv, line }
        : wrapped(wrapper, argv ?? ["/bin/sh", "-c", line ?? ""])),
      cwd,
      env: {
        ...(environment?.(inherited) ?? inherited),
        ...(traceparent === undefined ? {} : { TRACEPARENT: traceparent }),
        ...env,
      },
      stdin: stdin ? "piped" : "null",
      stdout: stdout ? "piped" : "null",
      stderr: merge ? "stdout" : separate,
      consoleText,
    };
  }

  #input(channel: JobChannel): JobInput {
    const input = channel.addReceiveStream(STDIN);
    // The client gave up in the middle: never show that as an end of file.
    input.onAborted = () => this.terminate("stdin_aborted");
    return input;
  }

  #output(stream: number): JobOutput {
    // The client may STOP it before the process is there, and must not hear of
    // the stream's end before it has heard of its beginning.
    const output = this.#channel.addSendStream(stream, HeldStream);
    output.onFinished = () => this.#settle();
    this.#outputs.push(output);
    return output;
  }

  #pump(
    handle: ProcessHandle,
    name: keyof OutputReaders,
    output: JobOutput | null,
    budget: OutputBudget | null,
  ): void {
    const reader = output && readerOf(handle, name);
    if (output !== null && reader !== null) {
      const pump = new OutputPump(reader, output, budget, handle.recycle);
      this.#pumps.set(output, pump);
      if (this.#lost) pump.abandon(DEFAULT_KILL_AFTER_MS);
    }
  }

  /**
   * Now, or as soon as the process is there. What waits does not pile up: as
   * with the OS's own pending signals, the same once more adds nothing, except
   * that the shorter grace counts.
   */
  #withTree(kind: string, graceMs: number, act: TreeAct): void {
    if (this.#tree !== null) return act(this.#tree, graceMs);
    const before = this.#beforeStart.get(kind)?.graceMs ?? graceMs;
    const shorter = Math.min(before, graceMs);
    this.#beforeStart.set(kind, { act, graceMs: shorter });
  }

  #refuse(thrown: unknown): void {
    if (this.#exited) return;
    const error = asLimpetError(thrown, "spawn_failed", "Cannot start");
    const { code } = error;
    // A name in it may be as long as the client likes, and hold anything.
    const message = brief(printable(error.message));
    this.#exited = true;
    this.#ticket?.exited(null);
    const isKnown = !this.#starting || code !== "connection_lost";
    if (!isKnown) this.#host.untold(error);
    if (isKnown || !this.#lost) {
      this.#channel.send(FrameType.REFUSED, { code, message });
    }
    this.#host.report({
      type: "command_refused",
      command: this.#channel.id,
      code,
      message,
      ...factsOf(this.#request),
    });
    this.#host.exited(this);
    this.#done.resolve();
    this.#finish();
  }

  #settle(): void {
    if (this.#exited && this.#outputs.every((output) => output.finished)) {
      this.#finish();
    }
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#channel.end();
    if (this.#ended !== null) {
      this.#host.report({
        type: "command_ended",
        command: this.#channel.id,
        jobId: this.#ticket?.id,
        ...this.#ended,
        bytes: {
          stdin: this.#stdinBytes,
          stdout: this.#bytesOf(this.#stdout),
          stderr: this.#bytesOf(this.#stderr),
        },
      });
    }
    this.#host.finished(this);
  }

  #bytesOf(output: JobOutput | null): number {
    return (output && this.#pumps.get(output)?.bytes) ?? 0;
  }
}

/** Because the server wants it, which waits no longer than it would by itself. */
function end(tree: ProcessTree, reason: TerminationReason): Promise<void> {
  return tree.terminate(reason, "SIGTERM", DEFAULT_KILL_AFTER_MS);
}

function howUnknown(): LimpetError {
  return new LimpetError(
    "connection_lost",
    "How a command ended is not known: what had started it ended before it",
  );
}

function wrapped(
  wrapper: readonly string[],
  argv: readonly string[],
): Pick<Command, "argv" | "wrapperWords"> {
  return { argv: [...wrapper, ...argv], wrapperWords: wrapper.length };
}

function isSame(one: ExecRequest, other: ExecRequest): boolean {
  return one.argv === other.argv && one.line === other.line;
}
