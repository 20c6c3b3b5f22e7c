/**
 * The jobs of a server: what runs, what has run, and what is kept of it on disk.
 * One value for each server.
 *
 * @module
 */

import { asLimpetError, LimpetError } from "../errors.ts";
import type { TerminationReason } from "../exec/exit.ts";
import { Job, type JobHost, type JobTicket } from "../exec/job.ts";
import { Leftovers } from "../exec/leftovers.ts";
import type { ExecRequest } from "../exec/request.ts";
import type { Identity, Proven } from "../identity.ts";
import type { JobFiles } from "../ports.ts";
import type { ServerLimits } from "../server_limits.ts";
import { JobEntry, type JobStream } from "./entry.ts";
import { shownName } from "./fingerprint.ts";
import { ownerOf } from "./owner.ts";
import { JobRegistry, type RegistryLimits } from "./registry.ts";
import { Spool, type SpoolOptions } from "./spool.ts";
import { SpoolRoom } from "./spool_room.ts";
import type { SpoolWriter } from "./spool_writer.ts";
import { SpooledChannel } from "./spooled_channel.ts";
import { JobStore, type StoredJob } from "./store.ts";
import type { StreamRecord } from "./record.ts";
import { Turns } from "./turns.ts";

/** A folder for this server alone. */
interface JobsFolder {
  readonly files: JobFiles;
  readonly path: string;
}

/** What a server's jobs are kept with. */
export interface JobsOptions {
  /** Without one there are no jobs that outlive their clients. */
  readonly folder: JobsFolder | undefined;
  readonly limits:
    & RegistryLimits
    & Pick<
      ServerLimits,
      "maxSpoolBytes" | "maxTotalSpoolBytes" | "shutdownGraceMs"
    >;
  /** Told what of the folder could not be read or written, in words. */
  readonly problem: (message: string) => void;
}

/** See the module's description. */
export class Jobs {
  readonly registry: JobRegistry;
  readonly #options: JobsOptions;
  readonly #room: SpoolRoom;
  readonly #leftovers = new Map<Identity, Leftovers>();
  #store: Promise<JobStore> | null = null;
  /** Jobs whose commands, or what they write, have not come to their end. */
  readonly #open = new Map<JobEntry, { job: Job; over: Promise<unknown> }>();
  readonly #turns = new Turns();
  /** Who waits for the folder, and whether their identity has gone meanwhile. */
  readonly #waiting = new Set<{ identity: Identity; isGone: boolean }>();
  #closing = false;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#room = new SpoolRoom(options.limits.maxTotalSpoolBytes);
    this.registry = new JobRegistry(
      options.limits,
      (entry) => this.#discard(entry),
    );
  }

  /** Jobs that outlive their clients and run. */
  get runningCount(): number {
    return this.#keptRunning().length;
  }

  /**
   * Settles when what an earlier server left has been read. Rejects if the folder
   * cannot be used.
   */
  async ready(): Promise<void> {
    if (this.#options.folder !== undefined) await this.#opened();
  }

  /** A command that ends with its session: listed, and never twice by one name. */
  async enter(
    client: Proven,
    request: ExecRequest,
    job: Job,
  ): Promise<JobTicket> {
    // Its name may be that of a job on disk.
    if (request.jobId !== undefined) await this.ready();
    const { entry, isNew } = this.registry.claim(client, request);
    if (!isNew) {
      await this.registry.checkSame(entry, request);
      throw new LimpetError(
        "refused",
        `Job "${entry.id}" has been started already, and what it writes goes to ` +
          "the connection that it was started over: with keep or detach for " +
          `${shownName("onDisconnect")} it could be attached to`,
      );
    }
    entry.job = job;
    return this.#ticket(entry);
  }

  /**
   * The job of a request that is to outlive its client: a new one, which starts,
   * or the one that the same request has started before.
   */
  async keep(
    client: Proven,
    request: ExecRequest,
    command: number,
    host: Omit<JobHost, "enter">,
  ): Promise<{ entry: JobEntry; isNew: boolean }> {
    const { folder } = this.#options;
    if (folder === undefined) {
      throw new LimpetError(
        "unsupported",
        "Server keeps no jobs: it has no folder for what they write, so a command " +
          "ends with its client",
      );
    }
    const turn = { identity: client.identity, isGone: false };
    this.#waiting.add(turn);
    let store: JobStore;
    // No `finally()` of a promise, which takes its time: what is asked of this job
    // by the next frame waits for the folder as well, and must find it.
    try {
      store = await this.#opened();
    } finally {
      this.#waiting.delete(turn);
    }
    if (turn.isGone) throw new LimpetError("refused", "Identity was revoked");
    store.folderOf(ownerOf(client), request.jobId ?? "new");
    if (this.#closing) {
      throw new LimpetError("shutting_down", "Server is going down");
    }
    const { entry, isNew } = this.registry.claim(client, request);
    if (isNew) this.#start(store, entry, request, command, host);
    else await this.registry.checkSame(entry, request);
    return { entry, isNew };
  }

  /** Takes no more of them; settles when those there are have ended. */
  async drain(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#keptRunning().map(({ ended }) => ended));
  }

  /** Ends the jobs of the identities that `gone` names. */
  async revoke(gone: (identity: Identity) => boolean): Promise<void> {
    const isGone = ({ identity }: JobEntry) =>
      identity !== null && gone(identity);
    for (const turn of this.#waiting) turn.isGone ||= gone(turn.identity);
    const { shutdownGraceMs } = this.#options.limits;
    await this.registry.terminate(isGone, "revoked", shutdownGraceMs);
    for (const [identity, leftovers] of this.#leftovers) {
      if (!gone(identity)) continue;
      this.#leftovers.delete(identity);
      await leftovers.end("revoked", shutdownGraceMs);
    }
    this.#hurry(isGone);
  }

  /** Ends everything that runs; settles when nothing of it is left. */
  async shutdown(
    reason: TerminationReason,
    graceMs: number = this.#options.limits.shutdownGraceMs,
  ): Promise<void> {
    this.#closing = true;
    await this.registry.terminate(
      ({ channel }) => channel !== null,
      reason,
      graceMs,
    );
    await Promise.all(
      [...this.#leftovers.values()].map((each) => each.end(reason, graceMs)),
    );
    this.#leftovers.clear();
    this.#hurry(() => true);
  }

  /** After `shutdown`: writes down what is to be written, and lets go. */
  async close(): Promise<void> {
    this.registry.close();
    const open = [...this.#open];
    for (const [{ stdout, stderr }] of open) {
      stdout?.spool.close();
      stderr?.spool.close();
    }
    await Promise.all(open.map(([, { over }]) => over));
    await this.#turns.over();
    const store = await this.#store?.catch(() => null);
    this.#store = null;
    await store?.close().catch((error) => this.#tell("Leaving", error));
  }

  /** Removes a job that has ended. Throws `refused` for one that has not. */
  remove(entry: JobEntry): void {
    if (!entry.isOver) {
      throw new LimpetError(
        "refused",
        `Job "${entry.id}" runs: it can be removed when it has ended`,
      );
    }
    this.registry.forget(entry);
  }

  /** What holds the output of ended ones open is waited for no longer. */
  #hurry(which: (entry: JobEntry) => boolean): void {
    for (const [entry, { job }] of this.#open) {
      if (which(entry)) job.endOutput();
    }
  }

  #keptRunning(): JobEntry[] {
    return this.registry.running().filter(({ channel }) => channel !== null);
  }

  #ticket(entry: JobEntry): JobTicket {
    return {
      id: entry.id,
      started: (pid) => entry.started(pid),
      exited: (status) => {
        entry.exited(status);
        // What never ran may be asked for again.
        if (status === null) this.registry.forget(entry);
        else this.registry.ended(entry);
      },
    };
  }

  #start(
    store: JobStore,
    entry: JobEntry,
    request: ExecRequest,
    command: number,
    host: Omit<JobHost, "enter">,
  ): void {
    const ticket = this.#ticket(entry);
    const channel = new SpooledChannel(
      command,
      (name) => new Spool(this.#spoolOptions(store, entry, request, name)),
    );
    entry.channel = channel;
    const job = new Job(channel, request, {
      authorize: (request) => host.authorize(request),
      enter: async () => {
        // Before it starts: a server that ends now must not run it again.
        const write = async () => await store.write(await entry.record());
        await this.#turns.take(keyOf(entry), write).catch((error) => {
          throw asLimpetError(
            error,
            "resource_exhausted",
            `Cannot write down job "${entry.id}"`,
          );
        });
        return ticket;
      },
      start: (command) => host.start(command),
      environment: () => host.environment(),
      consoleText: (request) => host.consoleText(request),
      report: (event) => host.report(event),
      exited: (job) => {
        host.exited(job);
        if (job.handle === null) return;
        // Until its server ends, or its identity's time does.
        const { identity } = entry;
        if (identity === null) return;
        const own = this.#leftovers.get(identity) ?? new Leftovers();
        this.#leftovers.set(identity, own);
        own.keep(job.handle);
      },
      finished: (job) => host.finished(job),
      untold: (error) => host.untold(error),
    });
    entry.job = job;
    entry.stdout = streamOf(channel.stdout);
    entry.stderr = streamOf(channel.stderr);
    channel.answered.then(({ started }) => {
      if (started) return this.#writeDown(entry);
      // Its name is free again.
      if (!entry.isOver) entry.exited(null);
      this.registry.forget(entry);
    });
    const over = channel.over.then(() => {
      this.#open.delete(entry);
      // Of one that was refused the channel alone knows why.
      if (entry.status !== null || entry.state === "unknown") entry.wrote();
      return this.#writeDown(entry);
    });
    this.#open.set(entry, { job, over });
  }

  #spoolOptions(
    store: JobStore,
    { owner, id }: JobEntry,
    { stdout, stderr, merge, onDisconnect }: Pick<
      ExecRequest,
      "stdout" | "stderr" | "merge" | "onDisconnect"
    >,
    name: "stdout" | "stderr",
  ): SpoolOptions {
    const streams = stdout && stderr && !merge ? 2 : 1;
    const { maxSpoolBytes } = this.#options.limits;
    const room = this.#room;
    return {
      files: store.files,
      folder: store.folderOf(owner, id),
      name,
      maxBytes: Math.floor(maxSpoolBytes / streams),
      whenFull: onDisconnect === "keep" ? "wait" : "drop",
      room: {
        take: (bytes) => {
          while (!room.take(bytes)) {
            if (!this.registry.forgetOldest(owner.name)) return false;
          }
          return true;
        },
        force: (bytes) => room.force(bytes),
        give: (bytes) => room.give(bytes),
      },
    };
  }

  #writeDown(entry: JobEntry): Promise<void> {
    return this.#turns.take(keyOf(entry), async () => {
      if (!this.registry.has(entry)) return;
      try {
        entry.recordProblem = null;
        await (await this.#opened()).write(await entry.record());
      } catch (error) {
        entry.recordProblem = wordsOf(error);
        this.#tell(`Writing down job "${entry.id}"`, error);
      }
    });
  }

  async #discard(entry: JobEntry): Promise<void> {
    if (entry.onDisconnect === "kill") return;
    this.#hurry((each) => each === entry);
    // At once: others may be in need of the room.
    const tell = (error: unknown) =>
      this.#tell(`Removing job "${entry.id}"`, error);
    const removed = Promise.all([
      entry.stdout?.spool.remove(),
      entry.stderr?.spool.remove(),
    ]).catch(tell);
    await this.#turns.take(keyOf(entry), async () => {
      try {
        await removed;
        await (await this.#opened()).remove(entry.owner, entry.id);
      } catch (error) {
        tell(error);
      }
    });
  }

  #opened(): Promise<JobStore> {
    this.#store ??= this.#openStore().catch((error) => {
      // It may be there the next time.
      this.#store = null;
      throw asLimpetError(
        error,
        "resource_exhausted",
        "Server cannot use its folder of jobs",
      );
    });
    return this.#store;
  }

  async #openStore(): Promise<JobStore> {
    const { folder, problem } = this.#options;
    const { files, path } = folder!;
    const store = await JobStore.open(files, path);
    const found = await store.load(problem);
    const entries = found.map((stored) => this.#restore(store, stored));
    entries.sort((one, other) => one.startedAt - other.startedAt);
    for (const entry of entries) this.registry.add(entry);
    entries.sort((one, other) => one.endedAt! - other.endedAt!);
    for (const entry of entries) this.registry.ended(entry);
    // Their time begins now, also if the server is started once more.
    const left = found.filter(({ record }) => record.endedAt === null);
    const now = entries.filter(({ id, owner }) =>
      left.some(({ record }) =>
        record.id === id && record.identity === owner.name &&
        record.key === owner.key
      )
    );
    for (const entry of now) {
      if (!this.registry.has(entry)) continue;
      await store.write(await entry.record())
        .catch((error) => this.#tell(`Writing down job "${entry.id}"`, error));
    }
    return store;
  }

  #restore(store: JobStore, { record, entries }: StoredJob): JobEntry {
    const entry = JobEntry.restored(record);
    const restored = (
      name: "stdout" | "stderr",
      stream: StreamRecord | null,
    ): JobStream | null => {
      if (!record.streams.includes(name)) return null;
      const request = { stdout: true, stderr: true, merge: false };
      const options = this.#spoolOptions(store, entry, request, name);
      const spool = Spool.restore(options, entries, stream?.bytes ?? null);
      return { spool, outcome: () => stream ?? SERVER_RESTARTED };
    };
    entry.stdout = restored("stdout", record.stdout);
    entry.stderr = restored("stderr", record.stderr);
    return entry;
  }

  #tell(doing: string, error: unknown): void {
    this.#options.problem(`${doing}: ${wordsOf(error)}`);
  }
}

const SERVER_RESTARTED = {
  heldOpen: false,
  cut: {
    code: "connection_lost",
    message: "the server restarted, and what it did not read is unknown",
  },
};

function streamOf(writer: SpoolWriter | null): JobStream | null {
  return writer && { spool: writer.spool, outcome: () => writer.outcome };
}

function keyOf({ owner, id }: JobEntry): string {
  return `${id} ${owner.key} ${owner.name}`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
