import { expect, test } from "vitest";
import {
  streamOfReader,
  type WatchedReader,
} from "../core/adapter/reader_stream.ts";
import { type Deferred, deferred } from "../core/deferred.ts";
import { LimpetError } from "../core/errors.ts";
import { turns } from "./support/fake_time.ts";

const LOST = new LimpetError("connection_lost", "Lost");
const END = { done: true, value: undefined } as const;

/** A reader that is told by hand what it reads, and the web stream over it. */
function byHand() {
  let waiting: Deferred<ReadableStreamReadResult<Uint8Array>> | null = null;
  let told!: (failure: LimpetError | null) => void;
  let cancelled = 0;
  const reader: WatchedReader = {
    read: () => (waiting = deferred()).promise,
    cancel: () => {
      cancelled++;
      return Promise.resolve();
    },
    watch: (tell) => told = tell,
  };
  const stream = streamOfReader(reader);
  return {
    reader: stream.getReader(),
    give: (byte: number) =>
      waiting!.resolve({ done: false, value: Uint8Array.of(byte) }),
    tell: (failure: LimpetError | null) => told(failure),
    isRead: () => waiting !== null,
    cancelled: () => cancelled,
  };
}

test("a stream that nobody reads is over as soon as its socket is", async () => {
  const ended = byHand();
  ended.tell(null);
  await ended.reader.closed;
  expect(await ended.reader.read()).toEqual(END);
  const failed = byHand();
  failed.tell(LOST);
  await expect(failed.reader.closed).rejects.toBe(LOST);
  await expect(failed.reader.read()).rejects.toBe(LOST);
  expect([ended.isRead(), failed.isRead()]).toEqual([false, false]);
});

test.each([null, LOST])(
  "what was read comes before an end, or a failure, in the same turn: %s",
  async (failure) => {
    const { reader, give, tell } = byHand();
    const closed = reader.closed.then(() => null, (error) => error);
    const reading = reader.read();
    await turns(1);
    give(7);
    tell(failure);
    expect(await reading).toEqual({ done: false, value: Uint8Array.of(7) });
    expect(await closed).toBe(failure);
  },
);

test("cancelling it is told to its reader, once", async () => {
  const { reader, cancelled } = byHand();
  const reading = reader.read();
  await reader.cancel();
  await reader.cancel();
  expect(await reading).toEqual(END);
  expect(cancelled()).toBe(1);
});
