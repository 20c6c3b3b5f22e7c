import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { LimpetError } from "../core/errors.ts";
import type { Dialler, Duplex } from "../core/ports.ts";
import { serving, TOKEN } from "./support/serving.ts";

const failed = (promise: Promise<unknown>): Promise<LimpetError> =>
  promise.then(
    (value) => Promise.reject(new Error(`It came to ${value}`)),
    (error) => error,
  );

test("a connection that is given up while it is dialled", async () => {
  const dialling = deferred<void>();
  // As fetch, sockets and the rest of the platform do it.
  const dial: Dialler = (signal) =>
    new Promise<Duplex>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      dialling.resolve();
    });
  const cancel = new AbortController();
  const connecting = failed(
    connect(dial, { token: TOKEN, signal: cancel.signal }),
  );
  await dialling.promise;
  const reason = new Error("enough");
  cancel.abort(reason);
  const error = await connecting;
  expect(error).toBeInstanceOf(LimpetError);
  expect(error).toMatchObject({ code: "cancelled", cause: reason });
});

test("a dialler's own failure is told as it is", async () => {
  const failure = new LimpetError("connection_failed", "Nobody there");
  const signal = new AbortController().signal;
  const connecting = connect(() => Promise.reject(failure), {
    token: TOKEN,
    signal,
  });
  expect(await failed(connecting)).toBe(failure);
});

test("a command whose signal has fired is not started, and the words say so", async () => {
  await using served = await serving();
  await using session = await served.connect();
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  for (
    const start of [
      () => session.spawn("true", { signal }),
      () => session.output("true", { signal }),
      async () => await session.$`true`.signal(signal),
    ]
  ) {
    const error = await failed((async () => await start())());
    expect(error).toBeInstanceOf(LimpetError);
    expect(error).toMatchObject({ code: "cancelled", cause: reason });
    expect(error.message).not.toMatch(/connect/i);
    expect(error.message).toMatch(/signal/i);
  }
  expect(served.spawned).toEqual([]);
  expect((await session.output("true")).success).toBe(true);
});

test("output() tells what broke its input off, whatever class of error that is", async () => {
  await using served = await serving();
  await using session = await served.connect();
  const causes = [
    new LimpetError("connection_lost", "Another session broke off"),
    new LimpetError("broken_pipe", "Somebody else's pipe"),
    new Error("A disk broke"),
  ];
  for (const cause of causes) {
    const stdin = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(cause),
    });
    const error = await failed(session.output("cat", { stdin }));
    expect(error).toMatchObject({ code: "cancelled", reason: "stdin_aborted" });
    expect(error.cause).toBe(cause);
  }
  expect((await session.output("cat", { stdin: "x" })).success).toBe(true);
});
