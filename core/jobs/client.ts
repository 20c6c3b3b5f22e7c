/**
 * The client's side of jobs: the entry `limpet/jobs`.
 *
 *     import { jobs } from "limpet/jobs";
 *     const session = await connect(address, { token, jobs });
 *
 * @module
 */

import type { Channel } from "../channel/channel.ts";
import { deferred } from "../deferred.ts";
import { LimpetError } from "../errors.ts";
import { type CommandStreams, refusal } from "../exec/client.ts";
import { type CommandStatus, readExit } from "../exec/exit.ts";
import { jobIdIn } from "../exec/job_id.ts";
import type { OnDisconnect } from "../exec/request.ts";
import { checkTimer } from "../exec/request.ts";
import { checkSignal, type Signal } from "../exec/signals.ts";
import { decodeControl, type Fields } from "../frame/control.ts";
import { objectsIn, textsIn } from "../frame/lists.ts";
import { frameName, FrameType, misplaced } from "../frame/frame.ts";
import { printable } from "../printable.ts";
import { JobCommand } from "./command.ts";

export { JobCommand };
export type { DroppedRange } from "./command.ts";

/** One output stream of a job. */
export interface JobStreamInfo {
  /** What the command wrote so far, what was dropped included. */
  readonly bytes: number;
  /** How many of them the server has no more. */
  readonly dropped: number;
}

/** What a server knows of a job. */
export interface JobInfo {
  readonly id: string;
  /**
   * `unknown`: its server restarted while it ran, or lost what had started it. A
   * later server may have more.
   */
  readonly state:
    | "starting"
    | "running"
    | "ended"
    | "unknown"
    | (string & Record<never, never>);
  readonly onDisconnect: OnDisconnect;
  /** The command, or the shell's line as the only element; cut if it is long. */
  readonly argv: readonly string[];
  readonly shell: boolean;
  /** In milliseconds since 1970. */
  readonly startedAt: number;
  /** Null while it runs. */
  readonly endedAt: number | null;
  /** Null before it has started. */
  readonly pid: number | null;
  /** Null while it runs, and where nobody saw its end. */
  readonly status: CommandStatus | null;
  /** Null where it has none, or where they are not kept. */
  readonly stdout: JobStreamInfo | null;
  readonly stderr: JobStreamInfo | null;
  /** Whether it can still be fed. */
  readonly stdin: boolean;
  /** Clients that are attached to it. */
  readonly readers: number;
  /** What went wrong with what is kept of it (a full disk); null if nothing did. */
  readonly problem: string | null;
}

/** How to attach to a job. */
export interface AttachOptions {
  /** Where to begin, in bytes from the stream's beginning. Default 0. */
  readonly stdoutOffset?: number;
  readonly stderrOffset?: number;
  /** Whether to go on when all that there is has come. Default true. */
  readonly follow?: boolean;
  /**
   * Feed the job, from `command.stdinOffset` on, if its stdin was piped: whoever
   * did before is told to stop. Default `"null"`.
   */
  readonly stdin?: "piped" | "null";
  /** Default `"piped"`. */
  readonly stdout?: "piped" | "null";
  /** Default `"piped"`. */
  readonly stderr?: "piped" | "null";
}

/** The list of a server that never ends is not waited for. */
const MAX_LISTED = 65_536;

/** Characters of all answers together that a list may have. */
const MAX_LIST_CHARS = 67_108_864;

/** One job of a server. Every method rejects with `no_such_job` if there is none. */
export interface JobHandle {
  readonly id: string;
  info(): Promise<JobInfo>;
  /** Settles when it has ended. */
  wait(signal?: AbortSignal): Promise<JobInfo>;
  /** Sends a signal, `SIGTERM` by default. Rejects with `refused` once it ended. */
  kill(signal?: Signal): Promise<void>;
  /** SIGTERM, and SIGKILL for what is left after `killAfterMs`. */
  terminate(killAfterMs?: number): Promise<void>;
  /** Forgets it, and removes what it wrote. Rejects with `refused` if it runs. */
  remove(): Promise<void>;
}

/** All jobs of our identity on a server. */
export interface JobsClient {
  /** Those that run and those that have ended, the oldest first. */
  list(): Promise<JobInfo[]>;
  /** One of them, which need not be there. */
  job(id: string): JobHandle;
  /**
   * Reads what a job wrote, from any offset on, and follows it. Rejects as
   * `spawn().status` does, with `no_such_job` too.
   */
  attach(id: string, options?: AttachOptions): JobCommand;
  /** For the session: a command that is to outlive us. */
  command(channel: Channel, streams: CommandStreams, open: object): JobCommand;
}

/** What `connect` takes as `jobs`. */
export type JobsFeature = (channels: Channels) => JobsClient;

/** Where a session opens its channels. */
export interface Channels {
  openChannel(): Channel;
}

/** See the module's description. */
export const jobs: JobsFeature = (channels) => ({
  list: () => list(channels),
  job: (id) => handle(channels, id),
  attach: (id, options = {}) => attach(channels.openChannel(), id, options),
  command: (...what) => new JobCommand(...what),
});

function attach(
  channel: Channel,
  job: string,
  options: AttachOptions,
): JobCommand {
  const { stdoutOffset, stderrOffset, follow } = options;
  const stdin = options.stdin === "piped";
  const stdout = options.stdout !== "null";
  const stderr = options.stderr !== "null";
  const body = {
    kind: "attach",
    job,
    stdin,
    stdout,
    stderr,
    stdoutOffset,
    stderrOffset,
    follow,
  };
  const streams = { stdin, stdout, stderr, merge: false, jobId: job };
  return new JobCommand(channel, streams, body);
}

async function list(channels: Channels): Promise<JobInfo[]> {
  const found: JobInfo[] = [];
  let chars = 0;
  for (;;) {
    const after: string | undefined = found.at(-1)?.id;
    const answer = await ask(channels.openChannel(), { op: "list", after });
    const page = objectsIn(answer, "jobs").map(readInfo);
    chars += JSON.stringify(page).length;
    for (const info of page) {
      if (info.id <= (found.at(-1)?.id ?? "")) {
        throw answer.wrong("jobs", "a list whose ids go up");
      }
      found.push(info);
    }
    if (found.length > MAX_LISTED || chars > MAX_LIST_CHARS) {
      throw new LimpetError(
        "limit_exceeded",
        `Server has more than ${MAX_LISTED} jobs to list, or ${MAX_LIST_CHARS} ` +
          "characters of them",
      );
    }
    if (!answer.boolean("more", false)) {
      return found.sort((one, other) => one.startedAt - other.startedAt);
    }
    if (page.length === 0) throw answer.wrong("jobs", "more of them");
  }
}

function handle(channels: Channels, id: string): JobHandle {
  const request = (op: string, more: object = {}, signal?: AbortSignal) =>
    ask(channels.openChannel(), { op, job: id, ...more }, signal);
  const job = async (op: string, signal?: AbortSignal) => {
    const answer = await request(op, {}, signal);
    return readInfo(answer.object("job"));
  };
  return {
    id,
    info: () => job("get"),
    wait: (signal) => job("wait", signal),
    async kill(signal = "SIGTERM") {
      checkSignal(signal);
      await request("signal", { signal });
    },
    async terminate(killAfterMs) {
      checkTimer(killAfterMs, "killAfterMs");
      const how = { signal: "SIGTERM", terminate: true, killAfterMs };
      await request("signal", how);
    },
    async remove() {
      await request("remove");
    },
  };
}

/** One question and its answer, on a channel of their own. */
function ask(
  channel: Channel,
  question: object,
  signal?: AbortSignal,
): Promise<Fields> {
  const answer = deferred<Fields>();
  const give = () => {
    channel.send(FrameType.DETACH, {});
    channel.end();
    answer.reject(
      new LimpetError("cancelled", "The question was cancelled", {
        cause: signal?.reason,
      }),
    );
  };
  const forget = () => signal?.removeEventListener("abort", give);
  answer.promise.then(forget, forget);
  channel.handler = {
    message(frame) {
      const fields = decodeControl(frame.payload, frameName(frame.type));
      if (frame.type === FrameType.REFUSED) answer.reject(refusal(fields));
      else if (frame.type === FrameType.RESULT) answer.resolve(fields);
      else misplaced(frame, "in answer to a question");
      channel.end();
    },
    lost: (error) => answer.reject(error),
  };
  try {
    channel.send(FrameType.OPEN, { kind: "jobs", ...question });
    if (signal?.aborted) give();
    signal?.addEventListener("abort", give, { once: true });
  } catch (error) {
    channel.end();
    answer.reject(error);
  }
  return answer.promise;
}

function readInfo(fields: Fields): JobInfo {
  const optional = (key: string) =>
    fields.has(key) ? fields.integer(key) : null;
  const object = <T>(key: string, read: (fields: Fields) => T) =>
    fields.has(key) ? read(fields.object(key)) : null;
  const onDisconnect = fields.text("onDisconnect");
  if (
    onDisconnect !== "kill" && onDisconnect !== "keep" &&
    onDisconnect !== "detach"
  ) {
    throw fields.wrong("onDisconnect", "kill, keep or detach");
  }
  return {
    id: jobIdIn(fields, "id"),
    state: printable(fields.text("state", 100)),
    onDisconnect,
    argv: textsIn(fields, "argv"),
    shell: fields.boolean("shell", false),
    startedAt: fields.integer("startedAt"),
    endedAt: optional("endedAt"),
    pid: optional("pid"),
    status: object("status", readExit),
    stdout: object("stdout", readStreamInfo),
    stderr: object("stderr", readStreamInfo),
    stdin: fields.boolean("stdin", false),
    readers: optional("readers") ?? 0,
    problem: fields.has("problem") ? fields.message("problem") : null,
  };
}

function readStreamInfo(fields: Fields): JobStreamInfo {
  return { bytes: fields.integer("bytes"), dropped: fields.integer("dropped") };
}
