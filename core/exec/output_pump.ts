/**
 * From a process's pipe into a channel's stream.
 *
 * @module
 */

import type { HeldStream } from "../channel/held_stream.ts";
import { counted } from "../counted.ts";
import { asLimpetError } from "../errors.ts";
import type { ByteReader, OutputReaders, ProcessHandle } from "../ports.ts";
import type { OutputBudget } from "./output_budget.ts";

/** Read ahead of the transport so far: the next read overlaps this send. */
export const READ_AHEAD_BYTES = 131_072;

/**
 * What a pipe can hold at most. Whatever the command wrote before it ended is
 * within this many bytes after its end; what comes later was written by others.
 */
export const MAX_PIPE_BYTES = 1_048_576;

/**
 * A busy event loop may run a timer before it looks at a pipe that has bytes.
 * So when the time is up, it gets a few more turns to bring them.
 */
const LAST_TURNS = 3;
const LAST_TURN_MS = 5;

/**
 * A command that ends closes its pipes, and is collected right after: END waits
 * so long for that, in ms, and leaves in one write with EXIT.
 */
const EXIT_WAIT_MS = 2;

/** So many reads empty a pipe of that size, even in small chunks. */
const MAX_LATE_READS = 64;

/** Where a pump sends to: a channel's stream, or what takes the same calls. */
export type OutputSink = Pick<
  HeldStream,
  "push" | "whenBelow" | "end" | "abort" | "onStop"
>;

/** What is to be pumped; null for what is not piped. Asked for what is pumped alone. */
export function readerOf(
  handle: ProcessHandle,
  name: keyof OutputReaders,
): ByteReader | null {
  const { readers } = handle;
  if (readers !== undefined) return readers[name];
  const stream = handle[name];
  return stream && stream.getReader();
}

/**
 * Reads while there is room and sends what it reads. Once the command has
 * ended, a pipe that something still holds open is given up after `drainMs` of
 * waiting for bytes; time in which the reader or the transport was slow does
 * not count, so a slow link loses nothing. A pipe that never falls silent is
 * given up after `drainMs` too, once all that the command itself wrote is out.
 */
export class OutputPump {
  readonly #reader: ByteReader;
  readonly #send: OutputSink;
  readonly #budget: OutputBudget | null;
  readonly #recycle: ((chunk: Uint8Array) => void) | undefined;
  #heldOpen = false;
  #bytes = 0;
  #readingSince: number | null = null;
  #patienceMs: number | null = null;
  #abandoned = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The pipe has ended, and END waits for the command's. */
  #waits = false;
  #givenUpAt = Infinity;
  #bytesAfterExit = 0;
  #lateReads = 0;

  constructor(
    reader: ByteReader,
    send: OutputSink,
    budget: OutputBudget | null = null,
    recycle?: (chunk: Uint8Array) => void,
  ) {
    this.#reader = reader;
    this.#send = send;
    this.#budget = budget;
    this.#recycle = recycle;
    send.onStop = () => this.#cancel();
    this.#run();
  }

  /** Read from the pipe so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The command has ended: from now on wait only so long. */
  commandEnded(drainMs: number): void {
    if (this.#abandoned) return this.#cancel();
    this.#patienceMs = drainMs;
    this.#givenUpAt = performance.now() + drainMs;
    if (this.#waits) this.#end();
    if (this.#readingSince !== null) {
      this.#readingSince = performance.now();
      this.#arm();
    }
  }

  /**
   * Nobody is left to send to: what comes is dropped, until the command has
   * ended. It is told to end, and what it says of that must not be its death.
   * What holds the pipe of one that has ended already gets `leftMs` at most.
   */
  abandon(leftMs: number): void {
    if (this.#waits) clearTimeout(this.#timer);
    if (this.#patienceMs !== null) {
      this.commandEnded(Math.min(this.#patienceMs, leftMs));
    }
    this.#abandoned = true;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        await this.#send.whenBelow(READ_AHEAD_BYTES);
        const chunk = await this.#read();
        if (chunk === null) break;
        const room = this.#budget?.take(chunk.byteLength) ?? chunk.byteLength;
        this.#bytes += room;
        if (room > 0) this.#push(chunk, room);
        if (room < chunk.byteLength) return await this.#cutOff();
        if (this.#neverSilent(chunk.byteLength)) {
          this.#giveUp();
          break;
        }
      }
      if (this.#patienceMs !== null) return this.#end();
      this.#waits = true;
      this.#timer = setTimeout(() => this.#end(), EXIT_WAIT_MS);
    } catch (error) {
      if (this.#abandoned) return await this.#discard();
      // After STOP the stream has its END already, and this does nothing.
      const { message } = asLimpetError(
        error,
        "spawn_failed",
        "Reading output",
      );
      this.#send.abort("spawn_failed", message);
      this.#cancel();
    }
  }

  #push(chunk: Uint8Array, bytes: number): void {
    const recycle = this.#recycle && (() => this.#recycle?.(chunk));
    this.#send.push(chunk.subarray(0, bytes), recycle);
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#waits = false;
    this.#send.end(this.#heldOpen ? { heldOpen: true } : {});
  }

  async #read(): Promise<Uint8Array | null> {
    this.#readingSince = performance.now();
    this.#arm();
    try {
      const { done, value } = await this.#reader.read();
      return done ? null : value;
    } finally {
      // A read that fails waits no longer either.
      clearTimeout(this.#timer);
      if (this.#patienceMs !== null) {
        this.#patienceMs -= performance.now() - this.#readingSince;
      }
      this.#readingSince = null;
    }
  }

  #arm(): void {
    if (this.#patienceMs === null) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#timeIsUp(LAST_TURNS),
      Math.max(0, this.#patienceMs),
    );
  }

  #timeIsUp(turns: number): void {
    if (turns === 0) return this.#giveUp();
    this.#timer = setTimeout(() => this.#timeIsUp(turns - 1), LAST_TURN_MS);
  }

  #neverSilent(bytes: number): boolean {
    if (this.#patienceMs === null) return false;
    this.#bytesAfterExit += bytes;
    if (this.#patienceMs <= 0) this.#lateReads++;
    if (this.#lateReads >= MAX_LATE_READS) return true;
    return this.#bytesAfterExit >= MAX_PIPE_BYTES &&
      performance.now() >= this.#givenUpAt;
  }

  /** What was within the budget arrives; then the stream ends as incomplete. */
  async #cutOff(): Promise<void> {
    this.#abandoned = true;
    // Once the command has ended, what still writes there is not waited for.
    if (this.#patienceMs === null) this.#discard();
    else this.#cancel();
    // If nobody is left to send to, this does nothing.
    await this.#send.whenBelow(1).catch(() => {});
    this.#send.abort(
      "limit_exceeded",
      `Output was cut after ${counted(this.#budget!.limit, "byte")}, and the ` +
        "command ended: the server's policy allows no more (maxOutput)",
    );
  }

  async #discard(): Promise<void> {
    try {
      for (let chunk; (chunk = await this.#read()) !== null;) {
        if (this.#neverSilent(chunk.byteLength)) break;
      }
    } catch {
      // A pipe that fails has no more for anybody.
    }
    this.#cancel();
  }

  #giveUp(): void {
    this.#heldOpen = true;
    this.#cancel();
  }

  /** Closes our end of the pipe; a read under way resolves to its end. */
  #cancel(): void {
    clearTimeout(this.#timer);
    this.#reader.cancel().catch(() => {});
  }
}
