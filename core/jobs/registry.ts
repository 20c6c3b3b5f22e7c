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
import type { Proven } from "../identity.ts";
import { isTheirs, ownerOf } from "./owner.ts";
import type { ServerLimits } from "../server_limits.ts";
import { JobEntry } from "./entry.ts";
import { differences, fingerprintOf, shownName } from "./fingerprint.ts";
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
  /** By the name of their identity. */
  readonly #jobs = new Map<string, Owned>();
  /** Those that count: to count them would be to look through thousands. */
  readonly #counting = new Set<JobEntry>();
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
   * The job of a client's request, which is new unless it was asked for before. Throws
   * `limit_exceeded` if there is no room for one more. A new one is there at once,
   * so that the next one to ask finds it.
   */
  claim(
    client: Proven,
    request: ExecRequest,
  ): { entry: JobEntry; isNew: boolean } {
    const { jobId } = request;
    const there = jobId === undefined ? undefined : this.#find(client, jobId);
    if (there !== undefined) return { entry: there, isNew: false };
    const id = jobId ?? this.#newId(client);
    const entry = JobEntry.of(id, client, request);
    if (counts(entry)) this.#makeRoom(entry.owner.name);
    this.add(entry);
    return { entry, isNew: true };
  }

  /** Adds one that is there already; `ended` is still to be told of it. */
  add(entry: JobEntry): void {
    const { name } = entry.owner;
    const own = this.#jobs.get(name) ?? new Owned();
    own.add(entry);
    this.#jobs.set(name, own);
    this.#reckon(own, entry);
  }

  /** Rejects with `refused` unless the job was started by the same request. */
  async checkSame(entry: JobEntry, request: ExecRequest): Promise<void> {
    const before = await entry.fingerprint;
    const differing = before === null
      ? ["jobId" as const]
      : differences(before, await fingerprintOf(request));
    if (differing.length === 0) return;
    throw new LimpetError(
      "refused",
      `Job "${entry.id}" was started with another request: they differ in ` +
        differing.map(shownName).join(", "),
    );
  }

  /** Throws `no_such_job`, whether nobody has it or somebody else. */
  find(client: Proven, id: string): JobEntry {
    const entry = this.#find(client, id);
    if (entry !== undefined) return entry;
    throw new LimpetError("no_such_job", `There is no job "${id}"`);
  }

  /** All of a client's, in the order in which they were asked for. */
  of(client: Proven): JobEntry[] {
    const own = this.#jobs.get(client.identity.name)?.entries ?? [];
    return [...own].filter(({ owner }) => isTheirs(owner, client));
  }

  /** All of everybody's that have not ended. */
  running(): JobEntry[] {
    return this.all().filter((entry) => !entry.isOver);
  }

  /** All of everybody's. */
  all(): JobEntry[] {
    return [...this.#jobs.values()].flatMap(({ entries }) => [...entries]);
  }

  /** Whether it has not been forgotten. */
  has(entry: JobEntry): boolean {
    return this.#jobs.get(entry.owner.name)?.entries.has(entry) ?? false;
  }

  /** It has ended, and is kept for some time. */
  ended(entry: JobEntry): void {
    const { name } = entry.owner;
    const own = this.#jobs.get(name);
    // It may have been removed meanwhile.
    if (own === undefined || !own.entries.has(entry)) return;
    this.#kept.add(entry);
    this.#reckon(own, entry);
    while (this.#isFull(name, 0)) {
      const oldest = this.#kept.oldest(name);
      if (oldest === null) return;
      this.forget(oldest);
    }
  }

  /** Removes it. */
  forget(entry: JobEntry): void {
    if (!this.has(entry)) return;
    const { name } = entry.owner;
    const own = this.#jobs.get(name);
    own?.delete(entry);
    if (own?.entries.size === 0) this.#jobs.delete(name);
    if (own !== undefined && this.#counting.delete(entry)) own.counting--;
    this.#kept.delete(entry);
    this.#discard(entry);
  }

  /**
   * Forgets the oldest that have ended of the identity of that name, whatever key
   * it was proved with, their output included; false if there is none.
   */
  forgetOldest(name: string): boolean {
    const oldest = this.#kept.oldest(name);
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

  #find(client: Proven, id: string): JobEntry | undefined {
    const those = this.#jobs.get(client.identity.name)?.byId.get(id) ?? [];
    const { key } = ownerOf(client);
    return those.find(({ owner }) => owner.key === key) ??
      those.find(({ owner }) => isTheirs(owner, client));
  }

  #newId(client: Proven): string {
    for (;;) {
      const id = makeJobId();
      if (this.#find(client, id) === undefined) return id;
    }
  }

  #makeRoom(name: string): void {
    while (this.#isFull(name, 1)) {
      if (this.forgetOldest(name)) continue;
      const { maxJobs, maxJobsPerIdentity } = this.#limits;
      const own = this.#countOf(name) >= maxJobsPerIdentity;
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

  #isFull(name: string, more: number): boolean {
    const { maxJobs, maxJobsPerIdentity } = this.#limits;
    if (this.#countOf(name) + more > maxJobsPerIdentity) return true;
    return this.#counting.size + more > maxJobs;
  }

  #countOf(name: string): number {
    return this.#jobs.get(name)?.counting ?? 0;
  }

  /** Counts it from now on, if it does count: when it comes, or when it is over. */
  #reckon(own: Owned, entry: JobEntry): void {
    if (!counts(entry) || this.#counting.has(entry)) return;
    this.#counting.add(entry);
    own.counting++;
  }
}

/** All of one identity, whatever it was proved with. */
class Owned {
  /** In the order in which they came. */
  readonly entries = new Set<JobEntry>();
  /** Keys have their own each: an id may be used by several. */
  readonly byId = new Map<string, JobEntry[]>();
  counting = 0;

  add(entry: JobEntry): void {
    this.entries.add(entry);
    this.byId.set(entry.id, [...this.byId.get(entry.id) ?? [], entry]);
  }

  delete(entry: JobEntry): void {
    this.entries.delete(entry);
    const others = this.byId.get(entry.id)?.filter((each) => each !== entry);
    if (others === undefined || others.length === 0) this.byId.delete(entry.id);
    else this.byId.set(entry.id, others);
  }
}

/** What nobody named and nobody asked to keep counts once it is over. */
function counts(entry: JobEntry): boolean {
  return entry.isNamed || entry.onDisconnect !== "kill" || entry.isOver;
}
