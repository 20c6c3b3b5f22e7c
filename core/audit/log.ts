/**
 * The audit log: every event of a server as a line of a file, in order, and
 * what is done when the file cannot be written.
 *
 * @module
 */

import { counted } from "../counted.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { LogFile } from "../ports.ts";
import type { ServerEvent } from "../server/event.ts";
import { auditLine, gapLine } from "./record.ts";

/** Lines that wait for a slow disk, in bytes; what is more is lost and counted. */
const MAX_QUEUED_BYTES = 1_048_576;

/** How long to wait before writing is tried again. */
const RETRY_MS = 1_000;

/** A write that takes so long has failed, until it comes back all the same. */
const STALL_MS = 5_000;

/** How long the last lines may take when the server ends. */
const LAST_WORDS_MS = 2_000;

/** What is done while the log cannot be written. */
export type OnAuditFailure =
  /** Nobody connects and no command starts; what cannot be written waits. */
  | "stop"
  /** All goes on; what cannot be written is counted. */
  | "continue";

/** How to keep a log. */
export interface AuditLogOptions {
  /** For messages: where it is. */
  readonly name: string;
  /** Opens it, at the start and when it has been moved away. */
  readonly open: () => Promise<LogFile>;
  readonly onFailure: OnAuditFailure;
  /** Tells the operator that it cannot be written, or can be again. */
  readonly warn: (message: string) => void;
  /** Default 1 MiB. */
  readonly maxQueuedBytes?: number;
  /** Default 1,000. */
  readonly retryMs?: number;
  /** How long one write may take, in milliseconds. Default 5,000. */
  readonly stallMs?: number;
}

/** See the module's description. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  #file: LogFile | null;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** Lines put in the queue so far, and lines taken out of it. */
  #queued = 0;
  #settled = 0;
  /** Of the first line in the queue. */
  #written = 0;
  /** The file ends in the middle of a line that will not be finished. */
  #torn = false;
  #lost = 0;
  /** Lost since the file last told of it. */
  #untold = 0;
  #failure: LimpetError | null = null;
  #isMoved = false;
  #running: Promise<void> | null = null;
  #wake: (() => void) | null = null;
  #isClosing = false;
  #changed = deferred<void>();

  private constructor(options: AuditLogOptions, file: LogFile) {
    this.#options = options;
    this.#file = file;
  }

  /** Rejects with the system's error if it cannot be opened. */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    return new AuditLog(options, await options.open());
  }

  /** Events that are in no file and never will be. */
  get lost(): number {
    return this.#lost;
  }

  /** Puts an event in the queue. Never waits, never throws. */
  record(event: ServerEvent): void {
    const line = new TextEncoder().encode(auditLine(event));
    const { maxQueuedBytes = MAX_QUEUED_BYTES } = this.#options;
    if (this.#queuedBytes + line.byteLength > maxQueuedBytes) {
      return this.#lose(1);
    }
    this.#push(line);
    this.#running ??= this.#run();
  }

  /**
   * Before a connection or a command is taken: with `stop`, settles when all
   * that had happened when it was called is written, and rejects with `refused`
   * if it cannot be.
   */
  async ready(): Promise<void> {
    if (this.#options.onFailure === "continue") return;
    // Not until the queue is empty, which it may never be.
    const upTo = this.#queued;
    while (this.#settled < upTo && this.#failure === null) {
      await this.#changed.promise;
    }
    if (this.#failure === null) return;
    throw new LimpetError(
      "refused",
      "Server cannot write its audit log, and takes nothing until it can",
    );
  }

  /** The file has been moved away, by logrotate: goes on in a new one. */
  reopen(): void {
    this.#isMoved = true;
    this.#wake?.();
    this.#running ??= this.#run();
  }

  /** Writes what is queued, if it can be written, and closes the file. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#wake?.();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_WORDS_MS);
    });
    // If it takes longer, this still sees to its end.
    const ended = (async () => {
      await this.#running;
      await this.#file?.close().catch(() => {});
      this.#file = null;
    })();
    await Promise.race([ended, patience]);
    clearTimeout(timer);
    const missing = this.#lost + this.#queue.length;
    if (missing > 0) {
      this.#options.warn(`${events(missing)} not in ${this.#options.name}`);
    }
  }

  async #run(): Promise<void> {
    // Together with what happens in the same turn.
    await Promise.resolve();
    for (;;) {
      try {
        if (this.#isMoved) await this.#leaveFile();
        this.#file ??= await this.#options.open();
        if (this.#queue.length === 0) break;
        await this.#writeFirst(this.#file);
        this.#succeeded();
      } catch (error) {
        this.#failed(error);
        if (this.#isClosing) break;
        if (this.#options.onFailure === "stop") await this.#pause();
        else if (this.#queue.length === 0) break;
      }
      this.#change();
    }
    this.#running = null;
    this.#change();
  }

  async #writeFirst(file: LogFile): Promise<void> {
    // A gap is told of where it is, before what comes after it.
    const head = this.#torn ? "\n" : "";
    const gap = this.#untold > 0 ? gapLine(Date.now(), this.#untold) : "";
    if (this.#written === 0 && head + gap !== "") {
      await this.#writeAll(file, new TextEncoder().encode(head + gap));
      this.#torn = false;
      this.#untold = 0;
    }
    const line = this.#queue[0];
    while (this.#written < line.byteLength) {
      this.#written += await this.#write(file, line.subarray(this.#written));
    }
    this.#shift();
  }

  async #writeAll(file: LogFile, bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.byteLength > 0;) {
      const written = await this.#write(file, rest);
      this.#torn = written < rest.byteLength;
      rest = rest.subarray(written);
    }
  }

  /** A terminal that was stopped (Ctrl-S) takes nothing, and does not fail. */
  async #write(file: LogFile, bytes: Uint8Array): Promise<number> {
    const { stallMs = STALL_MS } = this.#options;
    const timer = setTimeout(() => {
      if (this.#isClosing) return;
      this.#fail(new Error(`it has taken nothing for ${stallMs} ms`));
      this.#change();
    }, stallMs);
    try {
      return await file.write(bytes);
    } finally {
      clearTimeout(timer);
    }
  }

  async #leaveFile(): Promise<void> {
    const file = this.#file;
    this.#isMoved = false;
    this.#file = null;
    // A line begun in the old file is written whole into the new one.
    this.#written = 0;
    this.#torn = false;
    await file?.close().catch(() => {});
  }

  #succeeded(): void {
    if (this.#failure === null) return;
    this.#failure = null;
    const missing = this.#lost === 0 ? "" : `; ${events(this.#lost)} lost`;
    this.#options.warn(`${this.#options.name} can be written again${missing}`);
  }

  #fail(thrown: unknown): void {
    if (this.#failure !== null) return;
    const { name, onFailure, warn } = this.#options;
    const error = asLimpetError(thrown, "write_failed", `Writing ${name}`);
    this.#failure = error;
    const then = onFailure === "stop"
      ? "nobody connects and no command starts until it can be"
      : "events are lost, and counted";
    warn(`the audit log cannot be written: ${error.message}; ${then}`);
  }

  #failed(thrown: unknown): void {
    this.#fail(thrown);
    const { onFailure } = this.#options;
    if (onFailure === "stop" || this.#queue.length === 0) return;
    this.#torn ||= this.#written > 0;
    this.#shift();
    this.#lose(1);
  }

  #lose(count: number): void {
    this.#lost += count;
    this.#untold += count;
  }

  #push(line: Uint8Array): void {
    this.#queue.push(line);
    this.#queued++;
    this.#queuedBytes += line.byteLength;
  }

  #shift(): void {
    this.#queuedBytes -= this.#queue.shift()?.byteLength ?? 0;
    this.#settled++;
    this.#written = 0;
  }

  /** Until the next try, or until something has changed. */
  async #pause(): Promise<void> {
    this.#change();
    const { retryMs = RETRY_MS } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, retryMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  #change(): void {
    const { resolve } = this.#changed;
    this.#changed = deferred();
    resolve();
  }
}

function events(count: number): string {
  return counted(count, "event is", "events are");
}
