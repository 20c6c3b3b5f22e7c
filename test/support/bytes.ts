/**
 * Byte streams to send and to check.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** What `seq 1 last` writes, in chunks. */
export function* seq(last: number): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (let from = 1; from <= last; from += 10_000) {
    let text = "";
    for (let i = from; i < from + 10_000 && i <= last; i++) text += `${i}\n`;
    yield encoder.encode(text);
  }
}

/** All of `seq` as one array. */
export function seqBytes(last: number): Uint8Array {
  return concat([...seq(last)]);
}

/** One array of many. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const length = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

/** How much came, and a fingerprint of it. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** The digest of chunks, wherever they are cut. */
export async function digest(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Digest> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.byteLength;
  }
  return { bytes, sha256: hash.digest("hex") };
}

const ofSeq = new Map<number, Promise<Digest>>();

/** The digest of `seq 1 last`, which many compare with: made once. */
export function seqDigest(last: number): Promise<Digest> {
  const made = ofSeq.get(last) ?? digest(seq(last));
  ofSeq.set(last, made);
  return made;
}

/** A stream's chunks; leaving the loop early cancels the stream. */
export async function* chunksOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader();
  let over = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      over = done;
      if (done) return;
      yield value;
    }
  } catch (error) {
    over = true;
    throw error;
  } finally {
    if (!over) await reader.cancel();
  }
}

/** What came before the stream ended or failed. */
export interface Received {
  readonly bytes: Uint8Array;
  /** Null after a clean end. */
  readonly error: unknown;
}

/** Reads to the end, whatever kind of end it is. */
export async function receive(
  stream: ReadableStream<Uint8Array>,
): Promise<Received> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of chunksOf(stream)) chunks.push(chunk);
  } catch (error) {
    return { bytes: concat(chunks), error };
  }
  return { bytes: concat(chunks), error: null };
}

/** The text of a stream that ends cleanly. */
export async function textOf(
  stream: ReadableStream<Uint8Array>,
): Promise<string> {
  const { bytes, error } = await receive(stream);
  if (error !== null) throw error;
  return new TextDecoder().decode(bytes);
}

/** A stream of chunks that are made when they are asked for. */
export function streamOf(
  chunks: Iterable<Uint8Array>,
): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.iterator]();
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => void iterator.return?.(),
  }, { highWaterMark: 0 });
}
