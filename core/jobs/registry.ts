/**
 * All jobs of a server, by identity and id: each starts once, and its identity
 * alone sees it.
 *
 * @module
 */

import { counted } from "../counted.ts";
import { LimpetError } from "../errors.ts";
import type { TerminationReason } from "../exec/exit.ts";
import { makeJobId } from "../exec/job_id.ts";
import type { ExecRequest } from "../exec/request.ts";
import type { Identity } from "../identity.ts";
import type { ServerLimits } from "../server_limits.ts";
import { JobEntry } from "./entry.ts";
import { differences, fingerprintOf } from "./fingerprint.ts";
import { OldestFirst } from "./oldest_first.ts";

/** The limits that a registry keeps. */
export type RegistryLimits = Pick<
  ServerLimits,
  "maxJobs" | "maxJobsPerIdentity" | "jobTtlMs"
>;

/** See the module's description. */
export class JobRegistry {
  readonly #limits: RegistryLimits;
  readonly #discard: (entry: JobEntry) => void;
  readonly #jobs = new Map<string, Map<string, JobEntry>>();
  readonly #kept: OldestFirst;

  /** `discard` is told of every job that is forgotten. */
  constructor(limits: RegistryLimits, discard: (entry: JobEntry) => void) {
    this.#limits = limits;
    this.#discard = discard;
    this.#kept = new OldestFirst(
      limits.jobTtlMs,
      (entry) => this.forget(entry),
    );
  }

  /**
   * The job of a request, which is new unless it was asked for before. Throws
   * `limit_exceeded` if there is no room for one more. A new one is there at once,
   * so that the next one to ask finds it.
   */
  claim(
    identity: Identity,
    request: ExecRequest,
  ): { entry: JobEntry; isNew: boolean } {
    const { jobId } = request;
    const there = jobId === undefined
      ? undefined
      : this.#jobs.get(identity.name)?.get(jobId);
    if (there !== undefined) return { entry: there, isNew: false };
    const id = jobId ?? this.#newId(identity);
    const entry = JobEntry.of(id, identity, request);
    if (counts(entry)) this.#makeRoom(identity.name);
    this.add(entry);
    return { entry, isNew: true };
  }

  /** Adds one that is there already; `ended` is still to be told of it. */
  add(entry: JobEntry): void {
    const own = this.#jobs.get(entry.owner) ?? new Map<string, JobEntry>();
    own.set(entry.id, entry);
    this.#jobs.set(entry.owner, own);
  }

  /** Rejects with `refused` unless the job was started by the same request. */
  async checkSame(entry: JobEntry, request: ExecRequest): Promise<void> {
    const before = await entry.fingerprint;
    const differing = before === null
      ? ["jobId"]
      : differences(before, await fingerprintOf(request));
    if (differing.length === 0) return;
    throw new LimpetError(
      "refused",
      `Job "${entry.id}" was started with another request: they differ in ` +
        differing.join(", "),
    );
  }

  /** Throws `no_such_job`, whether nobody has it or somebody else. */
  find(identity: Identity, id: string): JobEntry {
    const entry = this.#jobs.get(identity.name)?.get(id);
    if (entry !== undefined) return entry;
    throw new LimpetError("no_such_job", `There is no job "${id}"`);
  }

  /** All of an identity's, in the order in which they were asked for. */
  of({ name }: Identity): JobEntry[] {
    return [...this.#jobs.get(name)?.values() ?? []];
  }

  /** All of everybody's that have not ended. */
  running(): JobEntry[] {
    return this.all().filter((entry) => !entry.isOver);
  }

  /** All of everybody's. */
  all(): JobEntry[] {
    return [...this.#jobs.values()].flatMap((own) => [...own.values()]);
  }

  /** Whether it has not been forgotten. */
  has(entry: JobEntry): boolean {
    return this.#jobs.get(entry.owner)?.get(entry.id) === entry;
  }

  /** It has ended, and is kept for some time. */
  ended(entry: JobEntry): void {
    // It may have been removed meanwhile.
    if (!this.has(entry)) return;
    this.#kept.add(entry);
    while (this.#isFull(entry.owner, 0)) {
      const oldest = this.#kept.oldest(entry.owner);
      if (oldest === null) return;
      this.forget(oldest);
    }
  }

  /** Removes it. */
  forget(entry: JobEntry): void {
    if (!this.has(entry)) return;
    const own = this.#jobs.get(entry.owner);
    own?.delete(entry.id);
    if (own?.size === 0) this.#jobs.delete(entry.owner);
    this.#kept.delete(entry);
    this.#discard(entry);
  }

  /**
   * Forgets the oldest of an identity's that have ended, their output included;
   * false if there is none.
   */
  forgetOldest(owner: string): boolean {
    const oldest = this.#kept.oldest(owner);
    if (oldest !== null) this.forget(oldest);
    return oldest !== null;
  }

  /** Ends all that run and that `which` names; settles when they have gone. */
  async terminate(
    which: (entry: JobEntry) => boolean,
    reason: TerminationReason,
    graceMs: number,
  ): Promise<void> {
    const running = this.running().filter(which);
    await Promise.all(running.map((each) => each.terminate(reason, graceMs)));
  }

  /** Nothing is forgotten any more because of its age. */
  close(): void {
    this.#kept.close();
  }

  #newId({ name }: Identity): string {
    for (;;) {
      const id = makeJobId();
      if (!this.#jobs.get(name)?.has(id)) return id;
    }
  }

  #makeRoom(owner: string): void {
    while (this.#isFull(owner, 1)) {
      if (this.forgetOldest(owner)) continue;
      const { maxJobs, maxJobsPerIdentity } = this.#limits;
      const own = this.#countOf(owner) >= maxJobsPerIdentity;
      throw new LimpetError(
        "limit_exceeded",
        own
          ? `Server keeps ${counted(maxJobsPerIdentity, "job")} of this ` +
            "identity, as many as its limit maxJobsPerIdentity allows, none " +
            "of which has ended"
          : `Server keeps ${counted(maxJobs, "job")}, as many as its limit ` +
            "maxJobs allows",
      );
    }
  }

  #isFull(owner: string, more: number): boolean {
    const { maxJobs, maxJobsPerIdentity } = this.#limits;
    if (this.#countOf(owner) + more > maxJobsPerIdentity) return true;
    return this.all().filter(counts).length + more > maxJobs;
  }

  #countOf(owner: string): number {
    return [...this.#jobs.get(owner)?.values() ?? []].filter(counts).length;
  }
}

/** What nobody named and nobody asked to keep counts once it is over. */
function counts(entry: JobEntry): boolean {
  return entry.isNamed || entry.onDisconnect !== "kill" || entry.isOver;
}
