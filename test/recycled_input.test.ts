/**
 * Memory that a command's input comes in, and goes on in, and that is then used
 * again: never while anybody can still look at it.
 *
 * @module
 */

import fc from "fast-check";
import { Buffer } from "node:buffer";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join as pathOf } from "node:path";
import { expect, test } from "vitest";
import { ReadBuffer } from "../core/adapter/read_buffer.ts";
import { ByteQueue } from "../core/channel/byte_queue.ts";
import { InputQueue } from "../core/channel/input_queue.ts";
import { ReceiveStream } from "../core/channel/receive_stream.ts";
import { connect } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { LimpetError } from "../core/errors.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { ackFrame } from "../core/link/ack.ts";
import { PlainLink } from "../core/link/plain_link.ts";
import { ResumableLink } from "../core/link/resumable_link.ts";
import type { ExitStatus, Spawner } from "../core/ports.ts";
import { Server } from "../core/server.ts";
import { pair } from "./support/faults.ts";
import { bytesOf, join, NO_GROWTH } from "./support/frames.ts";
import { eventually } from "./support/leaks.ts";
import { PLATFORM, serving, TOKEN } from "./support/serving.ts";

const dataFrame = (payload: Uint8Array): Frame => ({
  type: FrameType.DATA,
  stream: 0,
  channel: 1,
  payload,
});

/** Bytes that tell where they are from. */
function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => value + i * 7);
}

test("an input queue writes to nothing that was given out last", () => {
  const sizes = fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 70_000 }),
    fc.constantFrom(65_536, 131_072, 300_000),
  );
  const steps = fc.array(
    fc.record({
      queue: fc.nat({ max: 2 }),
      what: fc.oneof(
        { weight: 5, arbitrary: fc.record({ push: sizes }) },
        { weight: 2, arbitrary: fc.record({ pass: sizes }) },
        { weight: 4, arbitrary: fc.constant("shift") },
        { weight: 1, arbitrary: fc.constant("clear") },
      ),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      // Blocks go from one to another.
      const queues = Array.from({ length: 3 }, () => ({
        queue: new InputQueue(new ByteQueue()),
        due: new Uint8Array(0),
        out: undefined as Uint8Array | undefined,
        copy: undefined as Uint8Array | undefined,
        left: [] as [Uint8Array, Uint8Array][],
      }));
      script.forEach(({ queue: which, what }, index) => {
        const one = queues[which];
        const take = (piece: Uint8Array | undefined) => {
          one.out = piece;
          one.copy = piece?.slice();
          const length = piece?.byteLength ?? 0;
          if (piece) {
            expect(Buffer.compare(piece, one.due.subarray(0, length))).toBe(0);
          } else expect(one.due.length).toBe(0);
          one.due = one.due.slice(length);
        };
        if (what === "shift") take(one.queue.shift());
        else if (what === "clear") {
          // A write that was given up may still look at it.
          if (one.out) one.left.push([one.out, one.copy!]);
          one.queue.clear();
          one.due = new Uint8Array(0);
          one.out = undefined;
        } else {
          const size = "push" in what ? what.push : what.pass;
          const chunk = filled(size, index);
          one.due = join([one.due, chunk]) as Uint8Array<ArrayBuffer>;
          if ("push" in what) one.queue.push(chunk);
          // Only a reader that waits gets a piece so, and it has all before it.
          else if (one.due.length === size) take(one.queue.pass(chunk));
          else one.queue.push(chunk);
          chunk.fill(0);
        }
        expect(one.queue.byteLength).toBe(one.due.length);
        for (const { out, copy, left } of queues) {
          if (out) expect(Buffer.compare(out, copy!)).toBe(0);
          for (const [was, is] of left) {
            expect(Buffer.compare(was, is)).toBe(0);
          }
        }
      });
    }),
    { numRuns: 60 },
  );
});

test("an input queue takes over what has come before, and gives it out at once", () => {
  const former = new ByteQueue();
  const chunks = [filled(10, 1), filled(65_536, 2), filled(3, 3)];
  for (const chunk of chunks) former.push(chunk);
  const queue = new InputQueue(former);
  expect(queue.byteLength).toBe(65_549);
  expect(former.byteLength).toBe(0);
  const pieces: Uint8Array[] = [];
  for (let piece; (piece = queue.shift());) pieces.push(piece.slice());
  expect(join(pieces)).toEqual(join(chunks));
});

test("an input queue gives several frames out in one piece, in used memory", () => {
  const queue = new InputQueue(new ByteQueue());
  const places = new Set<ArrayBufferLike>();
  for (let i = 0; i < 100; i++) {
    queue.push(new Uint8Array(65_536));
    queue.push(new Uint8Array(65_536));
    let pieces = 0;
    for (let piece; (piece = queue.shift());) {
      places.add(piece.buffer);
      pieces++;
    }
    expect(pieces).toBeLessThan(3);
  }
  expect(places.size).toBeLessThan(5);
});

test("a read goes into memory again only if it was given back", () => {
  const memory = new ReadBuffer();
  const read = (length = Infinity) => {
    const room = memory.next();
    return memory.take(room.subarray(0, Math.min(length, room.byteLength)));
  };
  const kept = new Set<ArrayBufferLike>();
  for (let i = 0; i < 8; i++) {
    const { buffer } = read();
    expect(kept.has(buffer)).toBe(false);
    kept.add(buffer);
  }
  const last = read();
  expect(last.byteLength).toBe(65_536);
  memory.again(last);
  // As large as several frames, from now on.
  const large = read(65_546);
  expect(large.buffer.byteLength).toBe(262_144);
  memory.again(large);
  expect(read(70_000).buffer).toBe(large.buffer);
  // And not now.
  const next = read(70_000);
  expect(next.buffer).not.toBe(large.buffer);
  expect(kept.has(next.buffer)).toBe(false);
});

test("a reader that has become idle waits with little memory", () => {
  const memory = new ReadBuffer();
  for (let i = 0; i < 4; i++) {
    const room = memory.next();
    memory.again(memory.take(room));
  }
  const room = memory.next();
  expect(room.byteLength).toBe(262_144);
  memory.take(room.subarray(0, 10));
  expect(memory.next().byteLength).toBe(4_096);
});

test("one that nobody gives anything back does too, when little has come for a while", () => {
  const memory = new ReadBuffer(1_024);
  const read = (length = Infinity) => {
    const room = memory.next();
    memory.take(room.subarray(0, Math.min(length, room.byteLength)));
    return room.byteLength;
  };
  const sizes = [1_024, 4_096, 16_384, 65_536];
  expect(sizes.map(() => read())).toEqual(sizes);
  for (let i = 0; i < 3; i++) expect(read(10)).toBe(65_536);
  expect(read(20_000)).toBe(65_536);
  for (let i = 0; i < 4; i++) expect(read(10)).toBe(65_536);
  expect(sizes.map(() => read())).toEqual(sizes);
});

test("a chunk is over when nobody keeps any frame of it", async () => {
  const told: (boolean | undefined)[] = [];
  const over = deferred<void>();
  const frame = bytesOf(dataFrame(new Uint8Array(20)));
  const split = bytesOf(dataFrame(new Uint8Array(40)));
  const chunks = [
    frame, // Read before `start`.
    join([frame, frame]), // Both taken.
    join([frame, frame]), // One of them kept.
    split.subarray(0, 30), // A piece, taken.
    split.subarray(30), // Its rest, kept.
    frame, // Taken.
  ];
  const reader = {
    read(isOver?: boolean) {
      told.push(isOver);
      const value = chunks.shift();
      if (value) return Promise.resolve({ done: false as const, value });
      return Promise.resolve({ done: true as const, value: undefined });
    },
    cancel: () => Promise.resolve(),
  };
  const link = new PlainLink({
    readable: new ReadableStream(),
    writable: new WritableStream(),
    getReader: () => reader,
  });
  await link.next();
  const answers: (true | void)[] = [
    ...[true, true] as const,
    ...[true, undefined] as const,
    ...[true, undefined, true] as const,
  ];
  link.start({ frame: () => answers.shift(), ended: () => over.resolve() });
  await over.promise;
  expect(told).toEqual([undefined, false, true, false, true, false, true]);
});

test("a link says that an ACK is over, and of all else what its receiver says", async () => {
  const [ours, theirs] = pair();
  const carrier = new PlainLink(ours);
  const said: (true | void)[] = [];
  const start = carrier.start.bind(carrier);
  const enough = deferred<void>();
  carrier.start = ({ frame, ended }) =>
    start({
      frame: (...given) => {
        const answer = frame(...given);
        if (said.push(answer) === 4) enough.resolve();
        return answer;
      },
      ended,
    });
  const link = new ResumableLink(carrier, {
    maxReplayBytes: Infinity,
    onLost: () => {},
    onOver: () => {},
  });
  link.keep(true);
  const answers: (true | void)[] = [true, undefined];
  link.start({ frame: () => answers.shift(), ended: () => {} });
  const writer = theirs.writable.getWriter();
  const data = dataFrame(new Uint8Array(9));
  await writer.write(bytesOf(data, data, ackFrame(0)));
  // Of a link that has another connection by now nobody has it.
  await writer.write(bytesOf(data));
  await enough.promise;
  expect(said).toEqual([true, undefined, true, undefined]);
  link.abort(new LimpetError("closed", "Over"));
});

test("a stream says that it has copied what it copies, and nothing else", () => {
  const stream = () =>
    new ReceiveStream(
      { control() {}, raw() {}, schedule() {} },
      1,
      0,
      1_000,
      NO_GROWTH,
    );
  const plain = stream();
  expect(plain.data(new Uint8Array(10))).toBeUndefined();
  const copying = stream();
  copying.queue = new InputQueue(copying.queue);
  expect(copying.data(new Uint8Array(10))).toBe(true);
});

/** Runs anything as a process that keeps what it is given, as it was given. */
function hoarder(kept: Uint8Array[], returnsStdin?: true): Spawner {
  return () => {
    const ended = deferred<ExitStatus>();
    return Promise.resolve({
      pid: 1,
      stdin: new WritableStream<Uint8Array>({
        write: (chunk) => void kept.push(chunk),
        close: () => ended.resolve({ code: 0, signal: null }),
      }),
      returnsStdin,
      stdout: null,
      stderr: null,
      status: ended.promise,
      kill: () => false,
      groupAlive: () => false,
    });
  };
}

test.each(
  [
    ["nothing if a process may keep what it gets", undefined, false],
    // So that the test above it can fail.
    ["much if it says that it keeps nothing", true, true],
  ] as const,
)("a server writes over %s", async (_, returnsStdin, changes) => {
  const kept: Uint8Array[] = [];
  const server = new Server({
    token: TOKEN,
    spawner: hoarder(kept, returnsStdin),
    platform: PLATFORM,
    environment: () => ({}),
  });
  const [ours, theirs] = pair();
  const accepted = server.accept(theirs);
  const session = await connect(ours, { token: TOKEN });
  const child = session.spawn("hoard", { stdin: "piped", stdout: "null" });
  const writer = child.stdin.getWriter();
  const sent: Uint8Array[] = [];
  for (let i = 0; i < 64; i++) {
    sent.push(filled(60_000, i));
    await writer.write(sent[i]);
  }
  await writer.close();
  await child.status;
  expect(Buffer.compare(join(kept), join(sent)) !== 0).toBe(changes);
  await session.close();
  await accepted;
});

test("commands get their own input although they share memory", async () => {
  await using at = await serving();
  await using session = await at.connect();
  const one = async (index: number) => {
    const child = session.spawn("cat", { stdin: "piped" });
    const sent: Uint8Array[] = [];
    const writer = child.stdin.getWriter();
    const feeding = (async () => {
      for (let i = 0; i < 60; i++) {
        const size = 1 + (i * 7_919 + index * 104_729) % 150_000;
        sent.push(filled(size, index * 31 + i));
        await writer.write(sent[i].slice());
      }
      await writer.close();
    })();
    const got: Uint8Array[] = [];
    for await (const chunk of child.stdout) got.push(chunk);
    await feeding;
    expect(Buffer.compare(join(got), join(sent))).toBe(0);
    expect(await child.status).toMatchObject({ code: 0 });
  };
  await Promise.all(Array.from({ length: 6 }, (_, index) => one(index)));
});

test("what a command has left behind reads no input of another session", async () => {
  const folder = mkdtempSync(pathOf(tmpdir(), "limpet-input-"));
  await using at = await serving();
  await using session = await at.connect();
  await using other = await at.connect();
  const files = [1, 2, 3, 4, 5, 6].map((value) => pathOf(folder, `${value}`));
  await Promise.all(files.map(async (file, index) => {
    // Ends in the middle of a write: a pipe holds less than a frame.
    const script = 'exec 3<&0; (until [ -e "$0.go" ]; do sleep 0.01; done; ' +
      'cat <&3 >"$0.part"; mv "$0.part" "$0") >/dev/null 2>&1 & head -c 1';
    const child = session.spawn("sh", {
      args: ["-c", script, file],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    });
    const writer = child.stdin.getWriter();
    writer.closed.catch(() => {});
    writer.write(new Uint8Array(200_000).fill(index + 1)).catch(() => {});
    expect(await child.status).toMatchObject({ code: 0 });
  }));
  const theirs = new Uint8Array(2_000_000).fill(200);
  await other.output("cat", { stdin: theirs });
  for (const file of files) writeFileSync(`${file}.go`, "");
  await eventually(() => files.every(existsSync), () => "all read to the end");
  files.forEach((file, index) => {
    const read = readFileSync(file);
    expect(read.length).toBeGreaterThan(0);
    expect(read.every((byte) => byte === index + 1)).toBe(true);
  });
  rmSync(folder, { recursive: true });
});
