import { expect, test } from "vitest";
import { deferred } from "../core/deferred.ts";
import type { Authorized } from "../core/exec/authorized.ts";
import type { ExecRequest } from "../core/exec/request.ts";
import type { ServeOptions } from "../core/server.ts";
import type { ServerLimits } from "../core/server_limits.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { PLATFORM, type Serving, serving, warmUp } from "./support/serving.ts";

/** Both outputs of one command, as `reservationFor` has it, and its request. */
const ROOM = 400_000;
const NEVER = new Promise<never>(() => {});

useLeakCheck(warmUp);

const refused = ({ events }: Serving) =>
  events.filter((event) => event.type === "command_refused");

/** A server whose decisions are made by hand, in the order they are asked for. */
async function deciding(limits: Partial<ServerLimits> = {}) {
  const asked: { running: number; decide(authorized?: Authorized): void }[] =
    [];
  const served = await serving(limits, undefined, {
    authorize: (_, request: ExecRequest, { running }) => {
      const decision = deferred<Authorized>();
      const decide = (authorized: Authorized = { request }) =>
        decision.resolve(authorized);
      asked.push({ running, decide });
      return decision.promise;
    },
  });
  const untilAsked = (count: number) =>
    eventually(() => asked.length >= count, () => `${asked.length} asked for`);
  return { served, asked, untilAsked };
}

test("a server that closes does not wait for a decision that never comes", async () => {
  const { served, untilAsked } = await deciding();
  const session = await served.connect();
  const child = session.spawn("true");
  const status = expect(child.status).rejects.toMatchObject({
    code: "shutting_down",
    message: expect.stringContaining("before it was started"),
  });
  await untilAsked(1);
  await served.server.close({ graceMs: 86_400_000 });
  await status;
  expect(refused(served)).toMatchObject([{
    code: "shutting_down",
    argv: ["true"],
  }]);
  await session.close();
  await served[Symbol.asyncDispose]();
});

test("draining waits for a decision as long as it may, and what it comes to runs", async () => {
  const { served, asked, untilAsked } = await deciding();
  const session = await served.connect();
  const decided = session.spawn("true");
  const undecided = session.spawn("true");
  const status = expect(undecided.status).rejects.toMatchObject({
    code: "shutting_down",
  });
  await untilAsked(2);
  const drained = served.server.drain(86_400_000);
  asked[0].decide();
  expect(await decided.status).toMatchObject({ code: 0 });
  await served.server.close();
  await drained;
  await status;
  await session.close();
  await served[Symbol.asyncDispose]();
});

test("sessions of a revoked identity end, whatever was being decided", async () => {
  const { served, untilAsked } = await deciding();
  const session = await served.connect();
  const child = session.spawn("true");
  const status = expect(child.status).rejects.toMatchObject({
    code: "unauthenticated",
  });
  await untilAsked(1);
  await served.server.endSessions(() => true);
  await status;
  expect(refused(served)).toMatchObject([{ code: "unauthenticated" }]);
  expect(served.disconnected()).toMatchObject([{ code: "unauthenticated" }]);
  await session.close();
  await served[Symbol.asyncDispose]();
});

test("a decision that comes after the end starts nothing, and its room is free", async () => {
  const { served, asked, untilAsked } = await deciding({
    maxTotalBufferedBytes: ROOM,
    maxSessions: 1,
  });
  const first = await served.connect();
  first.spawn("true").status.catch(() => {});
  await untilAsked(1);
  await first.close();
  await served.untilDisconnected(1);
  expect(refused(served)).toMatchObject([{ code: "closed" }]);
  const second = await served.connect();
  const child = second.spawn("true");
  await untilAsked(2);
  // As if the first had never been asked for.
  expect(asked[1].running).toBe(0);
  asked[0].decide();
  asked[1].decide();
  expect(await child.status).toMatchObject({ code: 0 });
  expect(served.spawned).toHaveLength(1);
  expect(refused(served)).toHaveLength(1);
  await second.close();
  await served[Symbol.asyncDispose]();
});

test("a command's gate may never settle, and holds up no end", async () => {
  let asked = 0;
  const gate = () => ++asked === 1 ? Promise.resolve() : NEVER;
  await endsWithCommand(await serving({}, undefined, { gate }));
});

test("encodings that are loaded may never come, and hold up no end", async () => {
  await endsWithCommand(
    await serving({}, undefined, {
      encodings: () => NEVER,
      platform: { ...PLATFORM, encoding: "gbk" },
    }),
  );
});

async function endsWithCommand(served: Serving): Promise<void> {
  const session = await served.connect();
  const child = session.spawn("true");
  const status = expect(child.status).rejects.toMatchObject({
    code: "shutting_down",
  });
  await eventually(() => served.server.commandCount === 1, () => "it is there");
  await served.server.close();
  await status;
  expect(served.spawned).toEqual([]);
  await session.close();
  await served[Symbol.asyncDispose]();
}

test("a connection's gate may never settle, and holds up no end", async () => {
  const asked = deferred<void>();
  await endsWithConnection(asked.promise, {
    gate: () => {
      asked.resolve();
      return NEVER;
    },
  });
});

test("an authenticator may never settle, and holds up no end", async () => {
  const asked = deferred<void>();
  await endsWithConnection(asked.promise, {
    token: undefined,
    authenticator: {
      authenticate: () => {
        asked.resolve();
        return NEVER;
      },
    },
  });
});

async function endsWithConnection(
  asked: Promise<void>,
  options: Partial<ServeOptions>,
): Promise<void> {
  const limits = { handshakeTimeoutMs: Infinity };
  const served = await serving(limits, undefined, options);
  const over = served.connect().then((session) => session.spawn("true").status);
  over.catch(() => {});
  await asked;
  await served.server.close();
  expect(served.disconnected()).toMatchObject([{ code: "shutting_down" }]);
  await expect(over).rejects.toMatchObject({ name: "LimpetError" });
  expect(served.spawned).toEqual([]);
  await served[Symbol.asyncDispose]();
}
