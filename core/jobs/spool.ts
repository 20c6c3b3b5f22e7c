/**
 * What a command wrote to one of its streams, on disk: byte for byte, at the
 * offsets that it has in the stream, within a bound.
 *
 * A spool is a few files, each with a piece of the stream and named by its
 * offset: whatever becomes of the server, names and lengths tell what is there.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import { MAX_PIPE_BYTES, READ_AHEAD_BYTES } from "../exec/output_pump.ts";
import type { JobFiles, LogFile } from "../ports.ts";
import type { Room } from "./spool_room.ts";

/** Files of a full spool. */
export const SEGMENTS = 8;

/** So many of them are the stream's beginning, and stay. */
const HEAD_SEGMENTS = 4;

/** Where there is no room for so many bytes, there is none. */
const LEAST_PIECE_BYTES = 4_096;

/** After so long a disk that was full is tried again, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * What may still be on its way here when a command has ended: what its pipe holds,
 * what has been read from it, and the piece that was being read.
 */
export function maxLateBytes(): number {
  // No constant: bundlers keep a sum of names even where nobody asks for it.
  return MAX_PIPE_BYTES + 2 * READ_AHEAD_BYTES;
}

/** What is there from an offset on. */
export type Piece =
  | { readonly bytes: Uint8Array }
  /** Nothing is left of what lies before `resumesAt`. */
  | { readonly resumesAt: number };

/** Bytes of a stream that are not there any more, from an offset up to another. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** How a spool is kept. */
export interface SpoolOptions {
  readonly files: JobFiles;
  /** The folder of its job. */
  readonly folder: string;
  /** `stdout` or `stderr`: what its files' names begin with. */
  readonly name: string;
  /** Bytes on disk at most. */
  readonly maxBytes: number;
  /**
   * What becomes of a byte too many. `drop`: the middle of the stream goes, its
   * beginning and its end stay. `wait`: it waits until somebody has `taken` what
   * is there.
   */
  readonly whenFull: "drop" | "wait";
  readonly room: Room;
}

interface Segment {
  readonly start: number;
  bytes: number;
}

/** See the module's description. */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #segmentBytes: number;
  #segments: Segment[] = [];
  /** The last segment, while it is being written. */
  #open: LogFile | null = null;
  #total = 0;
  #taken = 0;
  #ended = false;
  /** Bytes that may go beyond the bounds; null before the command has ended. */
  #lateRoom: number | null = null;
  #closed = false;
  #removed = false;
  #problem: string | null = null;
  #changed = deferred<void>();
  #madeRoom = deferred<void>();

  constructor(options: SpoolOptions) {
    this.#options = options;
    const { maxBytes } = options;
    this.#segmentBytes = Math.max(1, Math.floor(maxBytes / SEGMENTS));
  }

  /** A spool that an earlier server left, of the stream's `total` bytes if known. */
  static restore(
    options: SpoolOptions,
    entries: readonly {
      readonly name: string;
      readonly bytes: number | null;
    }[],
    total: number | null,
  ): Spool {
    const spool = new Spool(options);
    const prefix = `${options.name}.`;
    for (const { name, bytes } of entries) {
      const start = name.startsWith(prefix)
        ? name.slice(prefix.length)
        : undefined;
      if (bytes === null || start === undefined || !/^\d{1,15}$/.test(start)) {
        continue;
      }
      spool.#segments.push({ start: Number(start), bytes });
    }
    spool.#segments.sort((one, other) => one.start - other.start);
    options.room.force(spool.heldBytes);
    const last = spool.#segments.at(-1);
    spool.#total = total ?? (last === undefined ? 0 : last.start + last.bytes);
    spool.#ended = true;
    return spool;
  }

  /**
   * After how many bytes at most a reader is to say what it has taken: the spool
   * must not be full before that, and has room for as many again. One that has no
   * more room than it has taken can be less than its bound.
   */
  get maxStep(): number {
    if (this.#problem === null) return this.#options.maxBytes / 2;
    // The first file goes first, and only once all of it was taken.
    return (this.heldBytes - (this.#segments[0]?.bytes ?? 0)) / 2;
  }

  /** Bytes that the command wrote, dropped ones included. */
  get total(): number {
    return this.#total;
  }

  /** Bytes on disk. */
  get heldBytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** What is not there any more, in order. */
  get dropped(): Range[] {
    const ranges: Range[] = [];
    let at = 0;
    for (const { start, bytes } of this.#segments) {
      if (start > at) ranges.push({ from: at, to: start });
      at = start + bytes;
    }
    if (at < this.#total) ranges.push({ from: at, to: this.#total });
    return ranges;
  }

  /** Why it could not be written, in the system's words; null if it could. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Whether all that the command wrote has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Settles when there is more than there is now, or the end. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  /** Adds bytes; settles once they are on disk, or have been dropped. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.byteLength > 0;) {
      const written = await this.#write(rest);
      rest = rest.subarray(written);
      this.#total += written;
      this.#notify();
      if (written > 0) continue;
      if (this.#drops) {
        await this.#endSegment();
        this.#total += rest.byteLength;
        return this.#notify();
      }
      // A reader may have to be believed now, to go on.
      this.#notify();
      await this.#untilRoom();
    }
  }

  /** Nothing more comes. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#endSegment();
    this.#notify();
  }

  /**
   * Bytes from an offset up to the total, `length` at most. Null if there are
   * none yet, or at the end. Rejects with the OS's error.
   */
  async read(offset: number, length: number): Promise<Piece | null> {
    if (offset >= this.#total) return null;
    const next = this.#segments.find(({ start, bytes }) =>
      start + bytes > offset
    );
    if (next === undefined) return { resumesAt: this.#total };
    if (next.start > offset) return { resumesAt: next.start };
    const end = next.start + next.bytes;
    const { files } = this.#options;
    const bytes = await files.readAt(
      this.#path(next),
      offset - next.start,
      Math.min(length, end - offset),
    );
    if (bytes !== null && bytes.byteLength > 0) return { bytes };
    // It has made way meanwhile, or somebody else has been here.
    return { resumesAt: end };
  }

  /** Somebody has taken all bytes before this offset. */
  taken(offset: number): void {
    if (offset <= this.#taken) return;
    this.#taken = offset;
    this.#madeRoom.resolve();
  }

  /**
   * The command has ended: a spool that waits waits for nobody any more. It keeps
   * what the command still wrote, beyond its bounds if it must; of what others write
   * who hold the stream open, it drops what has no room.
   */
  unbound(): void {
    if (this.#waits) this.#lateRoom ??= maxLateBytes();
    this.#madeRoom.resolve();
  }

  /** The server ends: what cannot be written now is dropped. */
  close(): void {
    this.#closed = true;
    this.#madeRoom.resolve();
  }

  /** Removes all of it. What it took of the room is free at once. */
  async remove(): Promise<void> {
    this.#removed = true;
    this.close();
    this.#options.room.give(this.heldBytes);
    const paths = this.#segments.map((segment) => this.#path(segment));
    this.#segments = [];
    await this.#endSegment();
    for (const path of paths) await this.#options.files.remove(path);
  }

  /** How many of the bytes have been written; 0 if there is no room for any. */
  async #write(bytes: Uint8Array): Promise<number> {
    if (this.#removed) return 0;
    const segment = await this.#current();
    if (segment === null || this.#removed) return 0;
    const { room } = this.#options;
    while (this.#segments.length > SEGMENTS && await this.#makeWay(segment));
    let isLate = this.#segments.length > SEGMENTS;
    let piece = bytes.subarray(0, this.#segmentBytes - segment.bytes);
    if (isLate) piece = piece.subarray(0, this.#lateRoom ?? 0);
    while (!room.take(piece.byteLength)) {
      if (this.#lateRoom) {
        piece = piece.subarray(0, this.#lateRoom);
        room.force(piece.byteLength);
        isLate = true;
        break;
      }
      if (await this.#makeWay(segment)) continue;
      if (await this.#leave(segment)) return await this.#write(bytes);
      // A chunk may be larger than all the room that there is.
      if (this.#waits && piece.byteLength > LEAST_PIECE_BYTES) {
        piece = piece.subarray(0, piece.byteLength >> 1);
        continue;
      }
      this.#problem =
        "The server's jobs have all that maxTotalSpoolBytes allows";
      return 0;
    }
    if (piece.byteLength === 0) return 0;
    let written = 0;
    try {
      this.#open ??= await this.#options.files.append(this.#path(segment));
      written = await this.#open.write(piece);
      // What was dropped because of it stays so.
      if (this.#waits) this.#problem = null;
    } catch (error) {
      this.#problem = wordsOf(error);
    }
    // Removed meanwhile, it has given back what it had.
    room.give(piece.byteLength - (this.#removed ? 0 : written));
    segment.bytes += written;
    if (isLate && this.#lateRoom !== null) this.#lateRoom -= written;
    const goOn = written === 0 &&
      (await this.#makeWay(segment) || await this.#leave(segment));
    return goOn ? await this.#write(bytes) : written;
  }

  /** Where the next byte goes; null if everything is full. */
  async #current(): Promise<Segment | null> {
    const last = this.#segments.at(-1);
    if (
      last !== undefined && last.start + last.bytes === this.#total &&
      last.bytes < this.#segmentBytes
    ) {
      return last;
    }
    await this.#endSegment();
    if (this.#segments.length >= SEGMENTS && !await this.#makeWay(null)) {
      if (!this.#lateRoom) return null;
    }
    const segment = { start: this.#total, bytes: 0 };
    this.#segments.push(segment);
    return segment;
  }

  /**
   * Removes the oldest segment that may go, but not the one to be written. False
   * if there is none.
   */
  async #makeWay(current: Segment | null): Promise<boolean> {
    const at = !this.#waits ? HEAD_SEGMENTS : this.#isTaken(0) ? 0 : Infinity;
    const oldest = this.#segments[at];
    if (oldest === undefined || oldest === current) return false;
    this.#segments.splice(at, 1);
    this.#options.room.give(oldest.bytes);
    await this.#options.files.remove(this.#path(oldest)).catch((error) => {
      this.#problem = wordsOf(error);
    });
    return true;
  }

  /**
   * Ends the segment that is being written, if all of it was taken, so that it can
   * make way. False if it was not.
   */
  async #leave(segment: Segment): Promise<boolean> {
    const mayGo = this.#waits && segment.bytes > 0 &&
      this.#segments[0] === segment && this.#isTaken(0);
    if (!mayGo) return false;
    await this.#endSegment();
    return await this.#makeWay(null);
  }

  get #waits(): boolean {
    return this.#options.whenFull === "wait";
  }

  /** Whether a byte without room goes; it waits otherwise. */
  get #drops(): boolean {
    return this.#closed || this.#lateRoom === 0 ||
      !this.#waits;
  }

  #isTaken(at: number): boolean {
    const segment = this.#segments[at];
    return segment !== undefined &&
      segment.start + segment.bytes <= this.#taken;
  }

  async #untilRoom(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const { promise } = this.#madeRoom;
    // Whoever fills the disk says nothing when they make room.
    const patience = this.#problem === null
      ? promise
      : new Promise<void>((resolve) => timer = setTimeout(resolve, RETRY_MS));
    await Promise.race([promise, patience]);
    clearTimeout(timer);
    this.#madeRoom = deferred();
  }

  async #endSegment(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.close().catch(() => {});
    // Of one that was to begin and could not, there is nothing to keep.
    if (this.#segments.at(-1)?.bytes === 0) {
      const empty = this.#segments.pop()!;
      await this.#options.files.remove(this.#path(empty)).catch(() => {});
    }
  }

  #path({ start }: Segment): string {
    const { folder, name } = this.#options;
    return `${folder}/${name}.${start}`;
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = deferred();
    resolve();
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
