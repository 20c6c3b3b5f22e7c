/**
 * One job, as its server knows it: while it runs, and afterwards.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import {
  type CommandStatus,
  isTold,
  type TerminationReason,
} from "../exec/exit.ts";
import type { Job } from "../exec/job.ts";
import type { ExecRequest, OnDisconnect } from "../exec/request.ts";
import type { Identity, Proven } from "../identity.ts";
import { type Fingerprint, fingerprintOf } from "./fingerprint.ts";
import { type Owner, ownerOf } from "./owner.ts";
import type { JobRecord, StreamRecord } from "./record.ts";
import type { Spool } from "./spool.ts";
import type { StreamEnd } from "./spool_writer.ts";
import type { SpooledChannel } from "./spooled_channel.ts";

/** What a job does. `unknown`: its server ended before it did. */
export type JobState = "starting" | "running" | "ended" | "unknown";

/** One stream of a job, for whoever reads it. */
export interface JobStream {
  readonly spool: Spool;
  /** How it ended; null while it has not. */
  outcome(): StreamEnd | null;
}

/** Characters of a command that are kept for lists. */
const MAX_COMMAND_LENGTH = 1_000;

/** See the module's description. */
export class JobEntry {
  readonly id: string;
  /** The name of the identity whose it is, and what they proved it with. */
  readonly owner: Owner;
  /** Null for one of an earlier server: nobody's session started it. */
  readonly identity: Identity | null;
  readonly onDisconnect: OnDisconnect;
  readonly argv: readonly string[];
  readonly shell: boolean;
  /** Null for one whose id nobody can have meant. */
  readonly fingerprint: Promise<Fingerprint> | null;
  /** The client chose the id, and counts on it. */
  readonly isNamed: boolean;
  startedAt: number;
  endedAt: number | null = null;
  pid: number | null = null;
  state: JobState = "starting";
  status: CommandStatus | null = null;
  /** Settles when it has ended. */
  readonly ended: Promise<void>;
  /** Clients that read or feed it. */
  readers = 0;
  /** Null once it has ended: its request and its client's session go with it. */
  job: Job | null = null;
  /** Null of what has no spools, and once all it wrote is in them. */
  channel: SpooledChannel | null = null;
  stdout: JobStream | null = null;
  stderr: JobStream | null = null;
  /** What of its files could not be written, in words. */
  recordProblem: string | null = null;
  readonly #ended = deferred<void>();

  constructor(
    id: string,
    owner: Owner,
    identity: Identity | null,
    command: {
      readonly onDisconnect: OnDisconnect;
      readonly argv: readonly string[];
      readonly shell: boolean;
      readonly fingerprint: Promise<Fingerprint> | null;
      readonly isNamed: boolean;
      readonly startedAt: number;
    },
  ) {
    this.id = id;
    this.owner = owner;
    this.identity = identity;
    this.onDisconnect = command.onDisconnect;
    this.argv = command.argv;
    this.shell = command.shell;
    this.fingerprint = command.fingerprint;
    this.isNamed = command.isNamed;
    this.startedAt = command.startedAt;
    this.ended = this.#ended.promise;
  }

  /** One that is about to start. */
  static of(id: string, client: Proven, request: ExecRequest): JobEntry {
    const { onDisconnect = "kill", jobId } = request;
    const isNamed = jobId !== undefined;
    return new JobEntry(id, ownerOf(client), client.identity, {
      onDisconnect,
      argv: brief(request.argv ?? [request.line ?? ""]),
      shell: request.line !== undefined,
      fingerprint: isNamed || onDisconnect !== "kill"
        ? fingerprintOf(request)
        : null,
      isNamed,
      startedAt: Date.now(),
    });
  }

  /** One that an earlier server left. */
  static restored(record: JobRecord): JobEntry {
    const { identity: name, key } = record;
    const entry = new JobEntry(record.id, { name, key }, null, {
      ...record,
      fingerprint: Promise.resolve(record.fingerprint),
      isNamed: true,
    });
    entry.pid = record.pid;
    entry.recordProblem = record.problem;
    entry.status = record.status;
    entry.state = record.status === null ? "unknown" : "ended";
    entry.endedAt = record.endedAt ?? Date.now();
    entry.#ended.resolve();
    return entry;
  }

  get isOver(): boolean {
    return this.endedAt !== null;
  }

  started(pid: number): void {
    this.pid = pid;
    this.state = "running";
    this.startedAt = Date.now();
  }

  exited(status: CommandStatus | null): void {
    const isKnown = status === null || isTold(status);
    this.status = isKnown ? status : null;
    this.state = isKnown ? "ended" : "unknown";
    this.endedAt = Date.now();
    this.job = null;
    this.#ended.resolve();
  }

  /** All it wrote is in its spools: those stay, and what filled them goes. */
  wrote(): void {
    this.channel = null;
    this.stdout = settled(this.stdout);
    this.stderr = settled(this.stderr);
  }

  /** Ends it if it runs; settles when nothing is left of it. */
  async terminate(reason: TerminationReason, graceMs: number): Promise<void> {
    const { job } = this;
    job?.giveUp("shutting_down");
    await job?.terminate(reason, Math.min(job.killAfterMs, graceMs));
  }

  /** What went wrong with what is kept of it; null if nothing did. */
  get problem(): string | null {
    return this.stdout?.spool.problem ?? this.stderr?.spool.problem ??
      this.recordProblem;
  }

  /** What is written down of it. Only of one that has spools. */
  async record(): Promise<JobRecord> {
    const fingerprint = await this.fingerprint;
    if (fingerprint === null) throw new TypeError("It has no spools");
    return {
      id: this.id,
      identity: this.owner.name,
      key: this.owner.key,
      onDisconnect: this.onDisconnect,
      argv: this.argv,
      shell: this.shell,
      fingerprint,
      startedAt: this.startedAt,
      pid: this.pid,
      endedAt: this.endedAt,
      status: this.status,
      streams: (["stdout", "stderr"] as const).filter((name) =>
        this[name] !== null
      ),
      stdout: streamRecord(this.stdout),
      stderr: streamRecord(this.stderr),
      problem: this.problem,
    };
  }
}

function streamRecord(stream: JobStream | null): StreamRecord | null {
  const outcome = stream?.outcome() ?? null;
  if (stream === null || outcome === null) return null;
  return { bytes: stream.spool.total, ...outcome };
}

function settled(stream: JobStream | null): JobStream | null {
  if (stream === null) return null;
  const outcome = stream.outcome();
  return { spool: stream.spool, outcome: () => outcome };
}

/** The words of a command, as far as there is room in a list. */
function brief(argv: readonly string[]): string[] {
  const kept: string[] = [];
  let room = MAX_COMMAND_LENGTH;
  for (const word of argv) {
    if (room <= 0) {
      kept.push("…");
      break;
    }
    kept.push(word.length <= room ? word : `${beginningOf(word, room)}…`);
    room -= word.length + 1;
  }
  return kept;
}

/** Without the middle of a surrogate pair; a slice would hold the whole text. */
function beginningOf(text: string, length: number): string {
  const bytes = new TextEncoder().encode(
    text.slice(0, length).replace(/[\ud800-\udbff]$/, ""),
  );
  return new TextDecoder().decode(bytes);
}
