import { expect, test } from "vitest";
import { connectError } from "../core/adapter/os_error.ts";
import { connect } from "../core/client.ts";
import { diallerOf } from "../core/dial.ts";
import type { Duplex, TlsInfo } from "../core/ports.ts";
import { parseAddress } from "../core/target.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { machine } from "./support/machine.ts";
import { serving, TOKEN, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

const TLS: TlsInfo = { serverCertificateHash: new Uint8Array(32) };

/** A byte stream none of whose members is its own, as a runtime's may be. */
class Wrapped implements Duplex {
  writes = 0;
  readonly #inner: Duplex;

  constructor(inner: Duplex) {
    this.#inner = inner;
  }

  get readable() {
    return this.#inner.readable;
  }

  get writable() {
    return this.#inner.writable;
  }

  get peer() {
    return "10.1.2.3:4";
  }

  get tls() {
    return TLS;
  }

  writev(chunks: readonly Uint8Array[]): Promise<void> {
    this.writes++;
    return this.#inner.writev!(chunks);
  }
}

test("a byte stream that is of a class keeps all it has, and has the name that was typed", async () => {
  await using served = await serving();
  let wrapped: Wrapped | undefined;
  const target = parseAddress(`tcp://localhost:${served.target.port}`);
  const dial = diallerOf({
    ...machine,
    dial: async () => wrapped = new Wrapped(await machine.dial(served.target)),
  }, target);
  const duplex = await dial();
  expect(duplex).toMatchObject({
    peer: `localhost:${served.target.port}`,
    tls: TLS,
  });
  // What it says of TLS is not so.
  Object.assign(duplex, { tls: undefined });
  await using session = await connect(duplex, { token: TOKEN });
  expect(await session.output("true")).toMatchObject({ code: 0 });
  expect(wrapped?.writes).toBeGreaterThan(0);
});

test("somebody's own streams in front of a byte stream see all that passes", async () => {
  await using served = await serving();
  const duplex = await diallerOf(machine, served.target)();
  const passed = { up: 0, down: 0 };
  const counting = (way: keyof typeof passed) =>
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        passed[way] += chunk.byteLength;
        controller.enqueue(chunk);
      },
    });
  const up = counting("up");
  const sending = up.readable.pipeTo(duplex.writable);
  const session = await connect({
    ...duplex,
    readable: duplex.readable.pipeThrough(counting("down")),
    writable: up.writable,
  }, { token: TOKEN });
  const bytes = 100_000;
  expect(
    await session.output("cat", { stdin: new Uint8Array(bytes) }),
  ).toMatchObject({ code: 0 });
  await session.close();
  await sending;
  expect(passed.up).toBeGreaterThan(bytes);
  expect(passed.down).toBeGreaterThan(bytes);
});

test("a session comes, runs a command and goes without a WritableStream on either side", async () => {
  const { WritableStream } = globalThis;
  let made = 0;
  globalThis.WritableStream = class<W> extends WritableStream<W> {
    constructor(...args: ConstructorParameters<typeof WritableStream<W>>) {
      super(...args);
      made++;
    }
  };
  try {
    await using served = await serving();
    const dial = diallerOf(machine, served.target);
    const session = await connect(dial, { token: TOKEN });
    expect(await session.output("true")).toMatchObject({ code: 0 });
    await session.close();
    await served.untilDisconnected(1);
    expect(made).toBe(0);
  } finally {
    globalThis.WritableStream = WritableStream;
  }
});

test("a session comes and goes without a ReadableStream on either side", async () => {
  await using served = await serving();
  const { ReadableStream } = globalThis;
  let made = 0;
  globalThis.ReadableStream = class<R> extends ReadableStream<R> {
    constructor(...args: ConstructorParameters<typeof ReadableStream<R>>) {
      super(...args);
      made++;
    }
  } as typeof ReadableStream;
  try {
    const dial = diallerOf(machine, served.target);
    const session = await connect(dial, { token: TOKEN });
    await session.close();
    await served.untilDisconnected(1);
    expect(made).toBe(0);
  } finally {
    globalThis.ReadableStream = ReadableStream;
  }
});

test("a server that drops a connection before it is looked at may be full", () => {
  const error = { code: "ECONNRESET", cause: undefined };
  expect(connectError("tcp://box:8090", error)).toMatchObject({
    code: "connection_failed",
    message: "Cannot connect to tcp://box:8090: connection reset by peer " +
      "(ECONNRESET). Perhaps the server is full, or keeps this address out for " +
      "a while after attempts that failed: its log says so",
  });
});
