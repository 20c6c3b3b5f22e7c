/**
 * The client's side of exec: a command that runs elsewhere.
 *
 * @module
 */

import type { Channel, ChannelHandler } from "../channel/channel.ts";
import type { ReceiveStream } from "../channel/receive_stream.ts";
import type { SendStream } from "../channel/send_stream.ts";
import { deferred } from "../deferred.ts";
import { type ErrorCode, LimpetError } from "../errors.ts";
import { decodeControl, type Fields, NOTHING_TAKEN } from "../frame/control.ts";
import {
  type Frame,
  frameName,
  FrameType,
  misplaced,
  STDERR,
  STDIN,
  STDOUT,
} from "../frame/frame.ts";
import { printable } from "../printable.ts";
import { type CommandStatus, readExit } from "./exit.ts";
import { checkTimer, type ExecRequest } from "./request.ts";
import { checkSignal, type Signal } from "./signals.ts";

/** Why a command did not start. PROTOCOL.md, "Exec". */
const REFUSALS = [
  "not_found",
  "not_executable",
  "cwd_not_found",
  "argument_list_too_long",
  "resource_exhausted",
  "limit_exceeded",
  "invalid_argument",
  "spawn_failed",
  "unsupported",
  "shutting_down",
  "no_such_job",
] as const satisfies readonly ErrorCode[];

/** Reads REFUSED. Throws `protocol_error`. */
export function refusal(fields: Fields): LimpetError {
  const code = fields.text("code", 100);
  const known = REFUSALS.find((each) => each === code) ?? "refused";
  return new LimpetError(known, fields.message("message"));
}

/** What the client's side of a command needs of its request. */
export type CommandStreams =
  & Pick<ExecRequest, "stdin" | "stdout" | "stderr" | "merge">
  & { readonly jobId?: string | undefined };

/**
 * A command on the other machine, in the shape of Deno's `ChildProcess`.
 *
 * `status` settles when the command ends, whether or not its output was read;
 * the streams end each on their own. If the connection is lost first, `status`
 * rejects with `connection_lost`: the outcome is then unknown, and no code is
 * made up for it.
 */
export class RemoteCommand implements ChannelHandler, AsyncDisposable {
  readonly #pid = deferred<number>();
  readonly #status = deferred<CommandStatus>();
  /**
   * The process id on the other machine. Rejects if the command cannot start,
   * with the same error as `status`.
   */
  readonly pid: Promise<number> = this.#pid.promise;
  /**
   * How the command ended. Rejects with `not_found`, `not_executable`,
   * `cwd_not_found`, `shutting_down` and the like if it did not start, and with
   * `connection_lost` or the session's other end if that came first.
   */
  readonly status: Promise<CommandStatus> = this.#status.promise;
  /**
   * What the server calls it; null before it has started, unless the caller has
   * named it.
   */
  jobId: string | null;
  /**
   * Bytes of its output, both streams together, that the server did not keep for
   * us. Only of a command that outlives its clients.
   */
  dropped = 0;
  readonly #channel: Channel;
  readonly #send: SendStream | null;
  readonly #stdin: WritableStream<Uint8Array> | null;
  readonly #stdout: ReceiveStream | null;
  readonly #stderr: ReceiveStream | null;
  /** Those of both that there are. */
  readonly #outputs: ReceiveStream[] = [];
  #started = false;
  #settled = false;
  #exited = false;

  /** `open` is the body of OPEN. */
  constructor(channel: Channel, streams: CommandStreams, open: object) {
    this.#channel = channel;
    this.jobId = streams.jobId ?? null;
    // Both are offers: who reads only stdout hears of a failure there.
    this.pid.catch(() => {});
    this.status.catch(() => {});
    channel.handler = this;
    channel.streamsOpen = false;
    const { stdin, stdout, stderr, merge } = streams;
    this.#send = stdin ? channel.addSendStream(STDIN) : null;
    this.#stdin = this.#send && writableOf(this.#send);
    this.#stdout = stdout ? this.#receiver(STDOUT) : null;
    this.#stderr = stderr && !merge ? this.#receiver(STDERR) : null;
    channel.send(FrameType.OPEN, open);
  }

  /**
   * The command's standard input. A write settles when the bytes are with the
   * transport. It errors with `broken_pipe` once the command has closed its
   * end; aborting it ends the command, which must not take the cut for an end.
   * Throws `invalid_argument` unless it was asked for (`stdin: "piped"`).
   */
  get stdin(): WritableStream<Uint8Array> {
    return this.#stdin ?? notPiped("stdin");
  }

  /**
   * What the command writes. Closes once every byte is here, and errors if any
   * is missing. Cancelling it closes the command's pipe.
   */
  get stdout(): ReadableStream<Uint8Array> {
    return (this.#stdout ?? notPiped("stdout")).readable;
  }

  /** The command's error output, like `stdout`; not there with `merge`. */
  get stderr(): ReadableStream<Uint8Array> {
    return (this.#stderr ?? notPiped("stderr")).readable;
  }

  /**
   * Whether something that the command left behind still held its output open
   * when the server stopped waiting (`sleep 100 & echo hi`). Final once both
   * streams have ended.
   */
  get heldOpen(): boolean {
    return this.#outputs.some(({ heldOpen }) => heldOpen);
  }

  /**
   * Sends a signal to the command's whole process group, after stdin has ended
   * too. Does nothing once the command has ended. Default `SIGTERM`. Throws
   * `invalid_argument` for what is no signal.
   */
  kill(signal: Signal = "SIGTERM"): void {
    checkSignal(signal);
    if (!this.#settled) this.#channel.send(FrameType.SIGNAL, { signal });
  }

  /**
   * Ends the command for sure: SIGTERM, and SIGKILL for whatever is left of its
   * process group after `killAfterMs` (default: the command's own). The result
   * is in `status`, with the reason `cancelled`.
   */
  terminate(killAfterMs?: number): void {
    checkTimer(killAfterMs, "killAfterMs");
    if (this.#settled) return;
    this.#channel.send(FrameType.SIGNAL, {
      signal: "SIGTERM",
      terminate: true,
      killAfterMs,
    });
  }

  /** Ends the command if it runs, and waits for its end. Never rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.terminate();
    await this.status.catch(() => {});
    for (const { readable } of this.#outputs) {
      if (!readable.locked) await readable.cancel().catch(() => {});
    }
  }

  /** For the session: a frame has come. */
  message(frame: Frame): void {
    const fields = decodeControl(frame.payload, frameName(frame.type));
    switch (frame.type) {
      case FrameType.STARTED:
        if (this.#started) misplaced(frame, "out of its order");
        this.#started = true;
        if (fields.has("jobId")) {
          const id = printable(fields.text("jobId", 64));
          // What is done with it later is done to the one that was asked for.
          this.jobId ??= id;
          if (id !== this.jobId) throw fields.wrong("jobId", this.jobId);
        }
        this.#channel.streamsOpen = true;
        return this.#pid.resolve(fields.integer("pid"));
      case FrameType.REFUSED: {
        if (this.#started) misplaced(frame, "out of its order");
        return this.#fail(refusal(fields));
      }
      case FrameType.EXIT: {
        if (!this.#started || this.#exited) {
          misplaced(frame, "out of its order");
        }
        const status = readExit(fields);
        this.#exited = true;
        this.#settled = true;
        this.#status.resolve(status);
        this.#send?.fail(
          new LimpetError("broken_pipe", "The command has ended"),
        );
        return this.#settle();
      }
      default:
        misplaced(frame, "which only a client sends");
    }
  }

  /** For the session: it is over. */
  lost(error: LimpetError): void {
    // Without a proof of either side it was never taken; but a proof, once made, holds.
    const turnedAway = error.cause === NOTHING_TAKEN;
    const untaken = !this.#started &&
      (turnedAway || error.code === "unauthenticated");
    // It is ended, by us. Whatever else ended the session, what became of the
    // command is unknown.
    const known = untaken || error.code === "closed";
    this.#fail(
      new LimpetError(known ? error.code : "connection_lost", error.message, {
        cause: turnedAway ? NOTHING_TAKEN : error,
        facts: { jobId: this.jobId },
      }),
    );
  }

  #receiver(stream: number): ReceiveStream {
    const receiver = this.#channel.addReceiveStream(stream);
    receiver.onFinished = () => this.#settle();
    this.#outputs.push(receiver);
    return receiver;
  }

  /** Nothing more will come of this command. */
  #fail(error: LimpetError): void {
    this.#settled = true;
    this.#pid.reject(error);
    this.#status.reject(error);
    this.#send?.fail(error);
    for (const output of this.#outputs) output.fail(error);
    this.#channel.end();
  }

  #settle(): void {
    const isDone = this.#outputs.every(({ finished }) => finished);
    if (this.#exited && isDone) this.#channel.end();
  }
}

function writableOf(send: SendStream): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    start(controller) {
      const { signal } = controller;
      // Once it is being aborted, the stream has its error already.
      send.onRefused = (error) => {
        if (!signal.aborted) controller.error(error);
      };
      // Not the method `abort`, which waits for a write that may never end.
      signal.addEventListener("abort", () => {
        const { reason } = signal;
        const detail = reason instanceof Error
          ? reason.message
          : String(reason);
        send.abort("cancelled", detail.slice(0, 1_000));
      });
    },
    async write(chunk) {
      // Types are gone at run time, and a wrong chunk must not end the session.
      if (!(chunk instanceof Uint8Array)) {
        const error = new LimpetError(
          "invalid_argument",
          `A command's stdin takes Uint8Array chunks, not ${typeof chunk}`,
        );
        send.abort("cancelled", error.message);
        throw error;
      }
      send.push(chunk);
      await send.whenBelow(1);
    },
    close() {
      send.end();
    },
  });
}

function notPiped(name: string): never {
  throw new LimpetError(
    "invalid_argument",
    `The command's ${name} is not piped: ask for it at its start`,
  );
}
