import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Channel } from "../core/channel/channel.ts";
import { connect } from "../core/client.ts";
import type { SpawnOptions } from "../core/options.ts";
import { deferred } from "../core/deferred.ts";
import { RemoteCommand } from "../core/exec/client.ts";
import { type Frame, FrameType, STDOUT } from "../core/frame/frame.ts";
import { JobCommand, jobs } from "../core/jobs/client.ts";
import type { Duplex, ProcessHandle, Spawner } from "../core/ports.ts";
import { resumable } from "../core/resume.ts";
import { Server } from "../core/server.ts";
import { pass, settle, useFakeTime } from "./support/fake_time.ts";
import { pair } from "./support/faults.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { memoryFiles } from "./support/memory_files.ts";
import { jsonFrame } from "./support/raw_peer.ts";
import { PLATFORM, TOKEN } from "./support/serving.ts";

useFakeTime();
useLeakCheck();

const KIB = 1_024;
const MIB = 1_024 * KIB;
const WINDOW = 256 * KIB;
/** One window can become four times as large, and no other one then. */
const LIMITS = {
  windowBytes: WINDOW,
  maxWindowGrowthBytes: 3 * WINDOW,
  handshakeTimeoutMs: 1e9,
  keepaliveMs: Infinity,
};

/** Of a job: half of it is for each stream, as large as a window that has grown. */
const SPOOL = 8 * WINDOW;

/** A transfer that takes longer, in milliseconds, stands still. */
const PATIENCE_MS = 100_000;

/** What web crypto is at work on: in real time, while all else has the test's. */
const proofs = new Set<Promise<unknown>>();

beforeEach(() => {
  for (const name of ["digest", "importKey", "sign", "verify"] as const) {
    const original = crypto.subtle[name] as (
      ...of: unknown[]
    ) => Promise<unknown>;
    const counted = (...of: unknown[]) => {
      const work = original.apply(crypto.subtle, of);
      proofs.add(work);
      const done = () => proofs.delete(work);
      work.then(done, done);
      return work;
    };
    vi.spyOn(crypto.subtle, name).mockImplementation(counted as never);
  }
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Lets time pass until it is so, and none for a proof. */
async function until(isSo: () => boolean): Promise<void> {
  const since = performance.now();
  while (!isSo()) {
    if (performance.now() - since > PATIENCE_MS) {
      throw new Error("Stands still");
    }
    await pass(10, 10);
    while (proofs.size > 0) {
      await Promise.allSettled(proofs);
      await settle();
    }
  }
}

/** Lets time pass until it is settled. */
async function during<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = () => {
    isSettled = true;
  };
  promise.then(settled, settled);
  await until(() => isSettled);
  return await promise;
}

/** How long a byte is on its way, and how many leave in a millisecond. */
interface Line {
  delayMs: number;
  bytesPerMs: number;
}

/** One end of a pair; what it writes arrives later. `arrived` is told how much. */
function delayed(
  inner: Duplex,
  { delayMs, bytesPerMs }: Line,
  arrived: (bytes: number) => void,
) {
  let free = 0;
  const writer = inner.writable.getWriter();
  writer.closed.catch(() => {});
  writer.ready.catch(() => {});
  const later = (bytes: number, act: () => Promise<void>) => {
    const now = performance.now();
    free = Math.max(free, now) + bytes / bytesPerMs;
    setTimeout(() => act().catch(() => {}), free - now + delayMs);
  };
  const send = (chunk: Uint8Array) => {
    const copy = chunk.slice();
    later(copy.byteLength, async () => {
      arrived(copy.byteLength);
      await inner.writev!([copy]);
    });
  };
  const cut = () => void writer.abort().catch(() => {});
  const duplex: Duplex = {
    peer: inner.peer,
    readable: inner.readable,
    writable: new WritableStream<Uint8Array>({
      start: ({ signal }) => signal.addEventListener("abort", cut),
      write: send,
      close: () => later(0, () => writer.close()),
    }),
    writev: (chunks) => Promise.resolve(chunks.forEach(send)),
  };
  return { duplex, cut };
}

/** A process that writes, and reads, as fast as it may until it is to stop. */
class Worker {
  /** What it has read. */
  read = 0;
  /** It reads so many bytes, and stands still then until `goOn`. */
  readonly reads: number;
  readonly #ended = deferred<{ code: number; signal: null }>();
  readonly #goOn = deferred<void>();

  constructor(reads: number) {
    this.reads = reads;
  }

  get spawner(): Spawner {
    return () => Promise.resolve(this.#handle());
  }

  goOn(): void {
    this.#goOn.resolve();
  }

  end(): void {
    this.#ended.resolve({ code: 0, signal: null });
  }

  #handle(): ProcessHandle {
    const { promise: status } = this.#ended;
    return {
      pid: 1,
      stdin: new WritableStream<Uint8Array>({
        write: async ({ byteLength }) => {
          if (this.read >= this.reads) await this.#goOn.promise;
          this.read += byteLength;
        },
      }, { highWaterMark: 0 }),
      stdout: new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(new Uint8Array(8 * MIB));
          status.then(() => controller.close());
        },
      }),
      stderr: null,
      status,
      kill: () => false,
      groupAlive: () => false,
    };
  }
}

/** A client and its server, and a line between them that can be cut. */
async function farApart(
  delayMs: number,
  bytesPerMs = Infinity,
  maxSpoolBytes = SPOOL,
) {
  const line = { delayMs, bytesPerMs, up: 0, down: 0, cut: () => {} };
  let worker = new Worker(0);
  const server = new Server({
    token: TOKEN,
    spawner: (command) => worker.spawner(command),
    platform: PLATFORM,
    environment: () => ({}),
    limits: { ...LIMITS, maxSpoolBytes },
    jobs: { files: memoryFiles(), path: "/jobs" },
  });
  const accepted: Promise<void>[] = [];
  const dial = (): Promise<Duplex> => {
    const [ours, theirs] = pair(64 * MIB);
    const client = delayed(ours, line, (bytes) => line.up += bytes);
    const far = delayed(theirs, line, (bytes) => line.down += bytes);
    line.cut = () => {
      client.cut();
      far.cut();
    };
    accepted.push(server.accept(far.duplex));
    return Promise.resolve(client.duplex);
  };
  let resumed = 0;
  const session = await during(connect(dial, {
    token: TOKEN,
    limits: LIMITS,
    jobs,
    resume: resumable({
      onEvent: ({ type }) => {
        if (type === "resumed") resumed++;
      },
    }),
  }));
  return {
    line,
    session,
    resumed: () => resumed,
    /** From now on commands are this. */
    works: (next: Worker) => worker = next,
    close: async () => {
      await during(session.close());
      await during(server.close());
      await during(Promise.all(accepted));
    },
  };
}

type Far = Awaited<ReturnType<typeof farApart>>;

/** The most that comes to a client that stops reading an output in the middle. */
function heldOfOutput(far: Far): Promise<number> {
  return heldOf(far, {});
}

/** The same of a job, whose outputs come from its spool. */
function heldOfJob(far: Far): Promise<number> {
  return heldOf(far, { onDisconnect: "keep" });
}

async function heldOf(
  { session, line, works }: Far,
  options: SpawnOptions,
): Promise<number> {
  const worker = new Worker(0);
  works(worker);
  const child = session.spawn("worker", options);
  await during(child.pid);
  const reader = child.stdout.getReader();
  const before = line.down;
  let bytes = 0;
  const readTo = async (end: number) => {
    while (bytes < end) bytes += (await reader.read()).value!.byteLength;
  };
  await during(readTo(4 * MIB));
  await pass(20 * line.delayMs + 4 * WINDOW / line.bytesPerMs, 10);
  const held = line.down - before - bytes;
  await during(readTo(8 * MIB));
  worker.end();
  expect((await during(reader.read())).done).toBe(true);
  expect(await during(child.status)).toMatchObject({ code: 0 });
  return held;
}

/** The most that comes to a server whose process stops reading. */
async function heldOfInput({ session, line, works }: Far): Promise<number> {
  const worker = new Worker(4 * MIB);
  works(worker);
  const child = session.spawn("worker", { stdin: "piped", stdout: "null" });
  await during(child.pid);
  const before = line.up;
  const writer = child.stdin.getWriter();
  const feeding = (async () => {
    for (let sent = 0; sent < 8 * MIB; sent += 64 * KIB) {
      await writer.write(new Uint8Array(64 * KIB));
    }
    await writer.close();
  })();
  await until(() => worker.read >= worker.reads);
  await pass(20 * line.delayMs + 4 * WINDOW / line.bytesPerMs, 10);
  const held = line.up - before - worker.read;
  worker.goOn();
  await during(feeding);
  await until(() => worker.read >= 8 * MIB);
  worker.end();
  expect(await during(child.status)).toMatchObject({ code: 0 });
  return held;
}

/**
 * It comes to a window that has grown by all that it may: to at least half of it,
 * for what was read may not have been given back as credit yet, and no more, but
 * for headers and a chunk that is with the process already.
 */
function expectGrown(bytes: number): void {
  expect(bytes).toBeGreaterThanOrEqual(2 * WINDOW);
  expect(bytes).toBeLessThanOrEqual(4 * WINDOW + 128 * KIB);
}

function expectNotGrown(bytes: number): void {
  expect(bytes).toBeGreaterThanOrEqual(WINDOW / 2);
  expect(bytes).toBeLessThanOrEqual(WINDOW + 128 * KIB);
}

test.each([
  ["an output's, at the client", heldOfOutput],
  ["a job's output's, at the client", heldOfJob],
  ["a stdin's, at the server", heldOfInput],
])(
  "%s window grows over a long line, and leaves all of it to the next",
  async (_, held) => {
    const far = await farApart(50);
    expectGrown(await held(far));
    expectGrown(await held(far));
    await far.close();
  },
);

test.each([
  ["an output's, at the client", heldOfOutput],
  ["a job's output's, at the client", heldOfJob],
  ["a stdin's, at the server", heldOfInput],
])(
  "%s window grows when the session has come to a longer line",
  async (_, held) => {
    const far = await farApart(10);
    await held(far);
    far.line.delayMs = 100;
    far.line.cut();
    await until(() => far.resumed() > 0);
    expectGrown(await held(far));
    await far.close();
  },
);

/** 10 Mbit/s: a window of 256 KiB keeps it busy for 200 ms. */
const SLOW = 1_250;

test.each([
  ["an output's, at the client", heldOfOutput],
  ["a job's output's, at the client", heldOfJob],
  ["a stdin's, at the server", heldOfInput],
])(
  "%s window stays as it is on a slow line, and where the session has come to one",
  async (_, held) => {
    const slow = await farApart(10, SLOW);
    expectNotGrown(await held(slow));
    await slow.close();
    const far = await farApart(100);
    far.line.delayMs = 10;
    far.line.bytesPerMs = SLOW;
    far.line.cut();
    await until(() => far.resumed() > 0);
    expectNotGrown(await held(far));
    await far.close();
  },
);

/** What comes to a client that takes one piece of an output, and no more. */
async function firstOfOutput({ session, line, works }: Far): Promise<number> {
  const worker = new Worker(0);
  works(worker);
  const before = line.down;
  const child = session.spawn("worker");
  const reader = child.stdout.getReader();
  await during(reader.read());
  await pass(20 * line.delayMs, 10);
  const came = line.down - before;
  await during(reader.cancel());
  worker.end();
  await during(child.status);
  return came;
}

/** What comes to a server whose process takes none of its input. */
async function firstOfInput({ session, line, works }: Far): Promise<number> {
  const worker = new Worker(0);
  works(worker);
  const before = line.up;
  const child = session.spawn("worker", { stdin: "piped", stdout: "null" });
  const writer = child.stdin.getWriter();
  const feeding = writer.write(new Uint8Array(8 * MIB)).catch(() => {});
  await during(child.pid);
  await pass(20 * line.delayMs, 10);
  const came = line.up - before;
  worker.end();
  await during(child.status);
  worker.goOn();
  await during(feeding);
  return came;
}

test.each([
  ["an output's, at the client", heldOfOutput, firstOfOutput],
  ["a stdin's, at the server", heldOfInput, firstOfInput],
])(
  "%s window begins with half of what one has grown by on this connection",
  async (_, held, first) => {
    const far = await farApart(50);
    expectNotGrown(await first(far));
    await held(far);
    const came = await first(far);
    expect(came).toBeGreaterThanOrEqual(2.5 * WINDOW);
    expect(came).toBeLessThanOrEqual(2.5 * WINDOW + 256 * KIB);
    far.line.cut();
    await until(() => far.resumed() > 0);
    expectNotGrown(await first(far));
    await far.close();
  },
);

test.each([
  ["as large as", SPOOL],
  ["half of", SPOOL / 2],
])(
  "of a job that is kept, in a spool %s a window that has grown, nothing goes that was not read",
  async (_, maxSpoolBytes) => {
    const far = await farApart(50, Infinity, maxSpoolBytes);
    const { session } = far;
    const worker = new Worker(0);
    far.works(worker);
    const child = session.spawn("worker", {
      onDisconnect: "keep",
      jobId: "kept",
    });
    const reader = child.stdout.getReader();
    let bytes = 0;
    const readTo = async (end: number, from: typeof reader) => {
      while (bytes < end) bytes += (await from.read()).value!.byteLength;
    };
    await during(readTo(4 * MIB, reader));
    // What came and was not read fills the window, and the command its spool.
    await pass(1_000, 10);
    child.detach();
    const again = session.attach("kept", { stdoutOffset: bytes });
    const rest = again.stdout.getReader();
    await during(readTo(8 * MIB, rest));
    worker.end();
    expect((await during(rest.read())).done).toBe(true);
    expect(await during(again.status)).toMatchObject({ code: 0 });
    expect([bytes, again.dropped]).toEqual([8 * MIB, 0]);
    await far.close();
  },
);

/** What a client has read of an output from far away, and what it has said of it. */
async function creditOf(
  Kind: typeof RemoteCommand | typeof JobCommand,
): Promise<{ read: number; taken: number; grown: number }> {
  const frames: Frame[] = [];
  const channel = new Channel({
    id: 1,
    sink: {
      raw: (frame) => frames.push(frame),
      control: () => {},
      schedule: () => {},
    },
    sendWindow: WINDOW,
    receiveWindow: WINDOW,
    growth: { fastestMs: Infinity, grown: 0, most: 32 * MIB, known: 0 },
    onEnded: () => {},
  });
  const streams = { stdin: false, stdout: true, stderr: false, merge: false };
  const command = new Kind(channel, streams, {});
  channel.receive(jsonFrame(FrameType.STARTED, { pid: 1 }, 1));
  const reader = command.stdout.getReader();
  let read = 0;
  let taken = 0;
  let grown = 0;
  for (let round = 0; round < 10; round++) {
    vi.advanceTimersByTime(100);
    const end = WINDOW + taken + grown;
    for (; read < end; read += 64 * KIB) {
      const payload = new Uint8Array(64 * KIB);
      channel.receive({
        type: FrameType.DATA,
        stream: STDOUT,
        channel: 1,
        payload,
      });
      expect((await reader.read()).value).toHaveLength(64 * KIB);
    }
    await settle();
    for (const { type, payload } of frames.splice(0)) {
      expect(type).toBe(FrameType.CREDIT);
      const credit = new DataView(payload.buffer).getUint32(0);
      if (credit >= 0x8000_0000) grown += credit - 0x8000_0000;
      else taken += credit;
    }
  }
  await reader.cancel();
  return { read, taken, grown };
}

test.each([RemoteCommand, JobCommand])(
  "the windows of a %o's outputs grow, and what is said to be taken was read",
  async (Kind) => {
    const { read, taken, grown } = await creditOf(Kind);
    expect(grown).toBeGreaterThan(4 * WINDOW);
    expect(taken).toBeLessThanOrEqual(read);
    expect(taken).toBeGreaterThanOrEqual(read - (WINDOW + grown) / 2);
  },
);
