/**
 * What a session asks of the server's jobs: PROTOCOL.md, "Jobs".
 *
 * @module
 */

import type { Channel } from "../channel/channel.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError, type ErrorCode, LimpetError } from "../errors.ts";
import type { ExecEvent, RequestFacts } from "../exec/events.ts";
import { factsOf } from "../exec/facts.ts";
import { checkJobId } from "../exec/job_id.ts";
import type { Job, JobHost, JobTicket } from "../exec/job.ts";
import { type ExecRequest, MAX_TIMER_MS } from "../exec/request.ts";
import { checkSignal } from "../exec/signals.ts";
import { brief, type Fields } from "../frame/control.ts";
import { FrameType } from "../frame/frame.ts";
import type { Proven } from "../identity.ts";
import { printable } from "../printable.ts";
import type { JobEntry } from "./entry.ts";
import { Follower, type Wish } from "./follower.ts";
import { infoOf } from "./info.ts";
import type { Jobs } from "./jobs.ts";

/** Jobs in one answer. */
const PAGE = 100;

/** See the module's description. */
export class SessionJobs {
  readonly #jobs: Jobs;
  readonly #client: Proven;
  readonly #report: (event: ExecEvent) => void;

  constructor(
    jobs: Jobs,
    client: Proven,
    report: (event: ExecEvent) => void,
  ) {
    this.#jobs = jobs;
    this.#client = client;
    this.#report = report;
  }

  /** Names a command that ends with its session. */
  enter(job: Job, request: ExecRequest): Promise<JobTicket> {
    return this.#jobs.enter(this.#client, request, job);
  }

  /**
   * A command that outlives its client, which is its first reader. `host` is
   * asked for what a command needs, `notStarted` told if it runs already.
   */
  keep(
    channel: Channel,
    request: ExecRequest,
    host: Omit<JobHost, "enter">,
    done: () => void,
    notStarted: () => void,
  ): void {
    const { stdin, stdout, stderr, merge } = request;
    const wish = {
      stdin,
      stdout,
      stderr: stderr && !merge,
      stdoutOffset: 0,
      stderrOffset: 0,
      follow: true,
    };
    this.#follow(channel, wish, done, factsOf(request), async () => {
      let isNew = false;
      try {
        const kept = await this.#jobs.keep(
          this.#client,
          request,
          channel.id,
          host,
        );
        isNew = kept.isNew;
        if (!isNew) await this.#attached(channel, kept.entry);
        return kept.entry;
      } finally {
        if (!isNew) notStarted();
      }
    });
  }

  /** Reads OPEN of the kind `attach`. */
  attach(fields: Fields): {
    readonly wish: Wish & { readonly merge: false };
    begin(channel: Channel, done: () => void): void;
  } {
    const id = jobIdOf(fields);
    const offset = (key: string) => fields.has(key) ? fields.integer(key) : 0;
    const wish = {
      stdin: fields.boolean("stdin", false),
      stdout: fields.boolean("stdout", true),
      stderr: fields.boolean("stderr", true),
      stdoutOffset: offset("stdoutOffset"),
      stderrOffset: offset("stderrOffset"),
      follow: fields.boolean("follow", true),
      merge: false,
    } as const;
    const find = async (channel: Channel) => {
      await this.#jobs.ready();
      const entry = this.#jobs.registry.find(this.#client, id);
      if (entry.onDisconnect === "kill") {
        throw new LimpetError(
          "refused",
          `Job "${id}" cannot be attached to: what it writes goes to the ` +
            "connection that it was started over",
        );
      }
      await this.#attached(channel, entry);
      return entry;
    };
    return {
      wish,
      begin: (channel, done) =>
        this.#follow(channel, wish, done, {}, () => find(channel)),
    };
  }

  /** Reads OPEN of the kind `jobs`. */
  ask(fields: Fields): (channel: Channel, done: () => void) => void {
    const question = readQuestion(fields);
    return (channel, done) => this.#answer(channel, question, done);
  }

  #answer(channel: Channel, question: Question, done: () => void): void {
    const asked = deferred<void>();
    let over = false;
    const end = (type: number, body: object) => {
      if (over) return;
      over = true;
      asked.resolve();
      channel.send(type, body);
      channel.end();
      done();
    };
    channel.handler = {
      message: (frame) => {
        if (frame.type !== FrameType.DETACH) throw unexpected();
        end(FrameType.DETACH, {});
      },
      lost: () => {
        if (over) return;
        over = true;
        asked.resolve();
        done();
      },
    };
    const answer = async () => {
      await this.#jobs.ready();
      return await this.#bodyFor(question, channel.id, asked.promise);
    };
    answer().then(
      (body) => end(FrameType.RESULT, body),
      (thrown) => {
        const { code, message } = asLimpetError(thrown, "refused", "Jobs");
        const shown = brief(printable(message));
        if (over) return;
        end(FrameType.REFUSED, { code, message: shown });
        this.#report({
          type: "command_refused",
          command: channel.id,
          code,
          message: shown,
        });
      },
    );
  }

  async #bodyFor(
    question: Question,
    command: number,
    over: Promise<void>,
  ): Promise<object> {
    if (question.op === "list") return this.#list(question.after);
    const { registry } = this.#jobs;
    const entry = registry.find(this.#client, question.id);
    switch (question.op) {
      case "get":
        return { job: infoOf(entry) };
      case "wait":
        await Promise.race([entry.ended, over]);
        return { job: infoOf(entry) };
      case "remove":
        this.#jobs.remove(entry);
        this.#report({ type: "job_removed", command, jobId: entry.id });
        return {};
      case "signal": {
        const { signal, terminate, killAfterMs } = question;
        if (entry.isOver || entry.job === null) {
          throw new LimpetError(
            "refused",
            entry.isOver && entry.status === null
              ? `No signal reaches job "${entry.id}" any more: what became ` +
                "of it is unknown"
              : `Job "${entry.id}" has ended`,
          );
        }
        entry.job.signal(signal, terminate, killAfterMs, {
          command,
          report: this.#report,
        });
        return {};
      }
    }
  }

  #list(after: string | null): object {
    // By id: whatever comes and goes meanwhile, each page is behind the last.
    const rest = this.#jobs.registry.of(this.#client)
      .filter(({ id }) => after === null || id > after)
      .sort((one, other) => one.id < other.id ? -1 : 1);
    const page = rest.slice(0, PAGE);
    return { jobs: page.map(infoOf), more: page.length < rest.length };
  }

  #follow(
    channel: Channel,
    wish: Wish,
    done: () => void,
    facts: Partial<RequestFacts>,
    find: () => Promise<JobEntry>,
  ): void {
    const follower = new Follower(channel, wish, this.#report, done);
    find().then((entry) => follower.follow(entry)).catch((thrown) => {
      follower.refuse(asLimpetError(thrown, "refused", "Job"), facts);
    });
  }

  /** Rejects if the job, which others asked for, turns out not to start. */
  async #attached(channel: Channel, entry: JobEntry): Promise<void> {
    const { id } = entry;
    const answer = await entry.channel?.answered;
    if (answer?.started === false) {
      const { code, message } = answer.body as Refusal;
      throw new LimpetError(code, message);
    }
    this.#report({ type: "job_attached", command: channel.id, jobId: id });
  }
}

/** The body of REFUSED. */
interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What is asked of jobs. */
type Question =
  | { readonly op: "list"; readonly after: string | null }
  | { readonly op: "get" | "wait" | "remove"; readonly id: string }
  | {
    readonly op: "signal";
    readonly id: string;
    readonly signal: string;
    readonly terminate: boolean;
    readonly killAfterMs: number | undefined;
  };

function readQuestion(fields: Fields): Question {
  const op = fields.text("op");
  switch (op) {
    case "list":
      return {
        op,
        after: fields.has("after") ? fields.text("after", 64) : null,
      };
    case "get":
    case "wait":
    case "remove":
      return { op, id: jobIdOf(fields) };
    case "signal":
      return {
        op,
        id: jobIdOf(fields),
        signal: readSignal(fields),
        terminate: fields.boolean("terminate", false),
        killAfterMs: fields.has("killAfterMs")
          ? fields.integer("killAfterMs", { max: MAX_TIMER_MS })
          : undefined,
      };
    default:
      throw fields.wrong("op", "list, get, wait, signal or remove");
  }
}

function jobIdOf(fields: Fields): string {
  const id = fields.text("job");
  checkJobId(id);
  return id;
}

function readSignal(fields: Fields): string {
  const signal = fields.text("signal", 20);
  checkSignal(signal);
  return signal;
}

function unexpected(): LimpetError {
  return new LimpetError(
    "protocol_error",
    "Peer sent something but DETACH for a question that it asked",
  );
}
