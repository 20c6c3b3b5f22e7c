/**
 * One client of a job, on a channel of its own: reads what is in the spools from
 * any offset on, and then what comes; may feed the job's stdin.
 *
 * @module
 */

import type { Channel, ChannelHandler } from "../channel/channel.ts";
import type { ReceiveStream } from "../channel/receive_stream.ts";
import { CountedStream } from "../channel/counted_stream.ts";
import { counted } from "../counted.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { ExecEvent, RequestFacts } from "../exec/events.ts";
import { READ_AHEAD_BYTES } from "../exec/output_pump.ts";
import { brief } from "../frame/control.ts";
import {
  type Frame,
  FrameType,
  misplaced,
  STDERR,
  STDIN,
  STDOUT,
} from "../frame/frame.ts";
import { printable } from "../printable.ts";
import type { JobEntry, JobStream } from "./entry.ts";
import { serverRestarted } from "./record.ts";

/** Bytes read from a spool at once. */
const READ_BYTES = 65_536;

/** Messages that come before it is known which job it is are kept, so many. */
const MAX_EARLY = 64;

/** What a client wants of a job. */
export interface Wish {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Where to begin, in bytes from the stream's beginning. */
  readonly stdoutOffset: number;
  readonly stderrOffset: number;
  /** Whether what comes later is wanted, too, and how it ends. */
  readonly follow: boolean;
}

/** See the module's description. */
export class Follower implements ChannelHandler {
  readonly #channel: Channel;
  readonly #wish: Wish;
  readonly #report: (event: ExecEvent) => void;
  readonly #done: () => void;
  readonly #stdin: ReceiveStream | null;
  readonly #stdout: CountedStream | null;
  readonly #stderr: CountedStream | null;
  #entry: JobEntry | null = null;
  #early: Frame[] = [];
  #exitSent = false;
  #over = false;
  readonly #gone = deferred<void>();

  /** `done` is told once when nothing is left of it. */
  constructor(
    channel: Channel,
    wish: Wish,
    report: (event: ExecEvent) => void,
    done: () => void,
  ) {
    this.#channel = channel;
    this.#wish = wish;
    this.#report = report;
    this.#done = done;
    channel.handler = this;
    this.#stdin = wish.stdin ? channel.addReceiveStream(STDIN) : null;
    this.#stdout = wish.stdout ? this.#output(STDOUT) : null;
    this.#stderr = wish.stderr ? this.#output(STDERR) : null;
  }

  /** This is the job. Rejects with the reason if it cannot be followed so. */
  async follow(entry: JobEntry): Promise<void> {
    const answer = await entry.channel?.answered;
    if (answer?.started === false) {
      return this.#end(FrameType.REFUSED, answer.body);
    }
    const { stdoutOffset, stderrOffset } = this.#wish;
    checkOffset(entry, "stdout", this.#stdout && stdoutOffset);
    checkOffset(entry, "stderr", this.#stderr && stderrOffset);
    if (this.#over) return;
    this.#entry = entry;
    entry.readers++;
    const stdin = entry.channel?.stdin ?? null;
    this.#channel.send(FrameType.STARTED, {
      pid: entry.pid ?? 0,
      jobId: entry.id,
      stdinOffset: stdin?.isOpen ? stdin.bytes : undefined,
    });
    if (this.#stdin !== null) {
      if (stdin === null) this.#stdin.readable.cancel().catch(() => {});
      else stdin.feedFrom(this.#stdin);
    }
    for (const frame of this.#early) this.#pass(entry, frame);
    this.#early = [];
    this.#send(this.#stdout, entry.stdout, stdoutOffset, "stdout");
    this.#send(this.#stderr, entry.stderr, stderrOffset, "stderr");
    if (this.#wish.follow || entry.isOver) {
      await Promise.race([entry.ended, this.#gone.promise]);
      this.#sendExit(entry);
    } else this.#exitSent = true;
    this.#settle();
  }

  /** There is no such job, or it may not be followed. `facts`: what was asked. */
  refuse(error: LimpetError, facts: Partial<RequestFacts>): void {
    if (this.#over) return;
    const { code } = error;
    const message = brief(printable(error.message));
    this.#end(FrameType.REFUSED, { code, message });
    this.#report({
      type: "command_refused",
      command: this.#channel.id,
      code,
      message,
      ...facts,
    });
  }

  message(frame: Frame): void {
    if (frame.type === FrameType.DETACH) {
      return this.#end(FrameType.DETACH, {});
    }
    if (frame.type !== FrameType.SIGNAL) {
      misplaced(frame, "which only a server sends");
    }
    if (this.#entry !== null) return this.#pass(this.#entry, frame);
    if (this.#early.length >= MAX_EARLY) {
      throw new LimpetError(
        "limit_exceeded",
        `Peer sent more than ${MAX_EARLY} signals before it was answered`,
      );
    }
    this.#early.push(frame);
  }

  lost(): void {
    this.#leave();
  }

  #pass(entry: JobEntry, frame: Frame): void {
    const command = this.#channel.id;
    entry.job?.message(frame, { command, report: this.#report });
  }

  #output(stream: number): CountedStream {
    // It may be stopped before it has begun, and ends behind STARTED only.
    const output = this.#channel.addSendStream(stream, CountedStream);
    output.onFinished = () => this.#settle();
    return output;
  }

  async #send(
    output: CountedStream | null,
    stream: JobStream | null,
    offset: number,
    name: "stdout" | "stderr",
  ): Promise<void> {
    output?.release();
    if (output === null || stream === null) return output?.end();
    try {
      await this.#copy(output, stream, offset, name);
      const outcome = stream.outcome();
      if (outcome?.cut && (this.#wish.follow || stream.spool.ended)) {
        await output.whenBelow(1);
        output.abort(outcome.cut.code, brief(printable(outcome.cut.message)));
      } else output.end(outcome?.heldOpen ? { heldOpen: true } : {});
    } catch (error) {
      // Of one that was stopped or lost nothing more is said anyway.
      const { message } = asLimpetError(
        error,
        "resource_exhausted",
        `Cannot read the ${name} of job "${this.#entry?.id}"`,
      );
      output.abort("resource_exhausted", brief(printable(message)));
    }
  }

  async #copy(
    output: CountedStream,
    { spool }: JobStream,
    offset: number,
    name: "stdout" | "stderr",
  ): Promise<void> {
    const end = this.#wish.follow ? Infinity : spool.total;
    let at = offset;
    /** What the spool had no more: nobody takes that. */
    let skipped = 0;
    // What a client has for sure taken need not be kept for it. It says so from
    // time to time: where the spool would be full before that, it is believed to
    // have taken what was sent.
    const isTold = () => output.step <= spool.maxStep;
    output.onTaken = (bytes) => {
      if (isTold()) spool.taken(offset + skipped + bytes);
    };
    for (;;) {
      await output.whenBelow(READ_AHEAD_BYTES);
      const changed = spool.changed();
      const length = Math.min(READ_BYTES, end - at);
      const piece = length > 0 ? await spool.read(at, length) : null;
      if (piece === null) {
        if (at >= end || (spool.ended && at >= spool.total)) return;
        await output.whenBelow(1);
        if (!isTold()) spool.taken(at);
        await Promise.race([changed, this.#gone.promise]);
        if (output.finished || this.#over) return;
      } else if ("bytes" in piece) {
        output.push(piece.bytes);
        at += piece.bytes.byteLength;
      } else {
        const to = Math.min(piece.resumesAt, end);
        this.#channel.send(FrameType.DROPPED, { stream: name, from: at, to });
        skipped += to - at;
        at = to;
      }
    }
  }

  #sendExit(entry: JobEntry): void {
    if (this.#over) return;
    this.#exitSent = true;
    if (entry.status === null) return;
    const { code, signal, reason } = entry.status;
    this.#stdin?.fail(new LimpetError("broken_pipe", "The command has ended"));
    this.#channel.send(FrameType.EXIT, {
      code,
      signal,
      reason: reason ?? undefined,
    });
  }

  #settle(): void {
    const entry = this.#entry;
    if (entry === null || !this.#exitSent || this.#over) return;
    const outputs = [this.#stdout, this.#stderr];
    if (outputs.some((output) => output?.finished === false)) return;
    if (entry.isOver && entry.status !== null) return this.#leave();
    // How it ended is not known, or it has not ended yet.
    const { code, message } = serverRestarted();
    this.#end(FrameType.DETACH, entry.isOver ? { code, message } : {});
  }

  #end(type: number, body: object): void {
    if (this.#over) return;
    this.#channel.send(type, body);
    this.#leave();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#gone.resolve();
    if (this.#entry !== null) this.#entry.readers--;
    // What it feeds stays open for the next one.
    const error = new LimpetError("closed", "The client has let go of the job");
    this.#stdin?.fail(error);
    this.#stdout?.fail(error);
    this.#stderr?.fail(error);
    this.#channel.end();
    this.#done();
  }
}

function checkOffset(
  entry: JobEntry,
  name: "stdout" | "stderr",
  offset: number | null,
): void {
  const total = entry[name]?.spool.total ?? 0;
  if (offset === null || offset <= total) return;
  throw new LimpetError(
    "invalid_argument",
    `${name} of job "${entry.id}" has ${
      counted(total, "byte")
    } so far: there ` +
      `is no offset ${offset}`,
  );
}
