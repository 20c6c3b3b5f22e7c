import { describe, expect, test } from "vitest";
import { Identities } from "../core/auth/identities.ts";
import { toBase64Url } from "../core/auth/base64url.ts";
import { TokenKey } from "../core/auth/token.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { ackFrame, readAck } from "../core/link/ack.ts";
import type { ServerLimits } from "../core/server_limits.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { countTimers, eventually } from "./support/leaks.ts";
import { pair } from "./support/pair.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { serving, TOKEN, warmUp } from "./support/serving.ts";

const { ACK, CLOSE, DATA, EXIT, OPEN, PING, PONG, PROOF, STARTED } = FrameType;
const OTHER = "the-token-of-somebody-else";

useLeakCheck(warmUp);

interface Said {
  readonly session?: { id: string; graceMs: number };
  readonly resumed?: { received: number; begun?: number };
}

/** Two identities on one server. */
async function served(limits: Partial<ServerLimits> = {}) {
  const authenticator = await Identities.from([
    { name: "ann", token: TOKEN },
    { name: "bob", token: OTHER },
  ]);
  const { server, ...all } = await serving(limits, undefined, {
    token: undefined,
    authenticator,
  });
  const types = () => all.events.map(({ type }) => type);
  return { ...all, server, types };
}
type Served = Awaited<ReturnType<typeof served>>;

const json = (frame: Frame) =>
  JSON.parse(new TextDecoder().decode(frame.payload));

/** A client by hand up to its PROOF, whatever comes of that. */
async function prove(
  on: Served,
  resume?: { session: string; received: number; begun?: number },
  token = TOKEN,
): Promise<RawPeer> {
  const peer = new RawPeer(await on.dial());
  const offers = { features: ["resume"], resume };
  const { clientProof } = await peer.greetServer({}, token, offers);
  const key = await (await TokenKey.from(token)).id;
  await peer.write(
    jsonFrame(PROOF, { key, proof: toBase64Url(clientProof) }),
  );
  return peer;
}

/** The same, with what the server's PROOF says. */
async function enter(...args: Parameters<typeof prove>) {
  const peer = await prove(...args);
  const said: Said = json(await peer.expect(PROOF));
  return { peer, said };
}

const ping: Frame = {
  type: PING,
  stream: 0,
  channel: 0,
  payload: new Uint8Array(0),
};

/** What the peer gets next, ACK apart. */
async function next(peer: RawPeer): Promise<Frame | null> {
  for (;;) {
    const frame = await peer.next();
    if (frame?.type !== ACK) return frame;
  }
}

/** Ends a session as a client does. */
async function leave(peer: RawPeer): Promise<void> {
  await peer.write(jsonFrame(CLOSE, { code: "closed", message: "Bye" }));
  await peer.end();
  await peer.rest();
}

const suspended = (on: Served, count = 1) =>
  eventually(
    () => on.types().filter((type) => type === "suspended").length >= count,
    () => `it was noticed: ${on.types()}`,
  );

describe("a session is not given to", () => {
  test.each([
    ["who has stolen its id, and has another token", OTHER, false],
    ["who knows no id", TOKEN, true],
  ])("%s", async (_, token, guess) => {
    await using on = await served();
    const { peer, said } = await enter(on);
    const id = guess ? toBase64Url(new Uint8Array(16)) : said.session!.id;
    const thief = await enter(on, { session: id, received: 0 }, token);
    expect(thief.said).not.toHaveProperty("resumed");
    expect(thief.said).not.toHaveProperty("session");
    const close = await thief.peer.expect(CLOSE);
    // The same words whatever it is.
    expect(json(close)).toEqual({
      code: "closed",
      message: "Session is not known here, or not any more",
    });
    await thief.peer.end();
    await thief.peer.rest();
    // Nobody has noticed.
    await peer.write(ping);
    expect((await next(peer))?.type).toBe(PONG);
    expect(on.types()).not.toContain("suspended");
    await leave(peer);
  });

  test("who has the id and no token", async () => {
    await using on = await served();
    const { peer, said } = await enter(on);
    const session = said.session!.id;
    const thief = await prove(
      on,
      { session, received: 0 },
      "no-token-of-this-server",
    );
    expect(await thief.closeCode()).toBe("unauthenticated");
    expect(on.types()).not.toContain("suspended");
    await leave(peer);
  });

  test("who comes after its end", async () => {
    await using on = await served();
    const { peer, said } = await enter(on);
    await leave(peer);
    await on.untilDisconnected(1);
    const again = await enter(on, { session: said.session!.id, received: 0 });
    expect(again.said).not.toHaveProperty("resumed");
    expect(await again.peer.closeCode()).toBe("closed");
  });

  test("who says it has received what was never sent", async () => {
    await using on = await served();
    const { peer, said } = await enter(on);
    const session = said.session!.id;
    const liar = await prove(on, { session, received: 1 });
    expect(await liar.closeCode()).toBe("protocol_error");
    // It is the other one's still.
    await peer.write(ping);
    expect((await next(peer))?.type).toBe(PONG);
    await leave(peer);
  });

  test.each([
    ["more than the server has sent", 4, 1],
    ["a STARTED", 0, 1],
    ["all of a DATA frame", null, 5],
    ["more than all of it", null, Number.MAX_SAFE_INTEGER],
  ])("who says it has begun %s", async (_, received, begun) => {
    await using on = await served();
    const { peer, said } = await enter(on);
    const session = said.session!.id;
    const open = { kind: "exec", argv: ["echo", "four"], stderr: false };
    await peer.write(jsonFrame(OPEN, open, 1));
    const types = [];
    for (let i = 0; i < 4; i++) types.push((await next(peer))?.type);
    // The end of a command may be told before what it wrote.
    const data = types.indexOf(DATA);
    const wrong = { session, received: received ?? data, begun };
    const liar = await prove(on, wrong);
    expect(await liar.closeCode()).toBe("protocol_error");
    expect(on.types()).not.toContain("suspended");
    // It is the other one's still, and goes on from the middle of that frame.
    await peer.write(ping);
    expect((await next(peer))?.type).toBe(PONG);
    await peer.drop();
    await suspended(on);
    const again = await enter(on, { session, received: data, begun: 2 });
    expect(again.said.resumed).toEqual({ received: 2, begun: 0 });
    const rest = await again.peer.expect(DATA);
    expect(new TextDecoder().decode(rest.payload)).toBe("ur\n");
    await leave(again.peer);
  });

  test("who has forgotten what it had received", async () => {
    await using on = await served();
    const { peer, said } = await enter(on);
    await peer.write(ping, ping);
    for (let i = 0; i < 2; i++) expect((await next(peer))?.type).toBe(PONG);
    await peer.write(ackFrame(2), ping);
    expect((await next(peer))?.type).toBe(PONG);
    const session = said.session!.id;
    const liar = await prove(on, { session, received: 1 });
    expect(await liar.closeCode()).toBe("protocol_error");
    await leave(peer);
  });
});

describe("two connections for one session:", () => {
  test("the newer one has it, and the older can deliver nothing", async () => {
    await using on = await served();
    const { peer: old, said } = await enter(on);
    const session = said.session!.id;
    await old.write(ping);
    expect((await next(old))?.type).toBe(PONG);
    const { peer, said: again } = await enter(on, { session, received: 1 });
    expect(again.resumed).toEqual({ received: 1 });
    // A command that would leave a trace.
    const open = { kind: "exec", argv: ["sleep", "100"], stdout: false };
    await old.write(jsonFrame(OPEN, open, 1)).catch(() => {});
    expect(await next(old)).toBeNull();
    await old.drop();
    await peer.write(ping);
    expect((await next(peer))?.type).toBe(PONG);
    expect(on.spawned).toEqual([]);
    expect(on.types().filter((type) => type === "resumed")).toHaveLength(1);
    await leave(peer);
  });

  test("of several at once one has it", async () => {
    await using on = await served();
    const { peer: old, said } = await enter(on);
    const session = said.session!.id;
    const all = await Promise.all(
      Array.from({ length: 5 }, () => prove(on, { session, received: 0 })),
    );
    // Each has it for a moment, perhaps; all but the last one are dropped.
    const ended = new Set<RawPeer>();
    let pongs = 0;
    for (const peer of all) {
      (async () => {
        for (let frame; (frame = await peer.next()) !== null;) {
          if (frame.type === PONG) pongs++;
        }
        ended.add(peer);
      })();
    }
    await eventually(
      () => ended.size === all.length - 1,
      () => `${ended.size} of ${all.length} have been dropped`,
    );
    const [winner] = all.filter((peer) => !ended.has(peer));
    await winner.write(ping);
    await eventually(() => pongs === 1, () => "the last one is answered");
    await winner.write(jsonFrame(CLOSE, { code: "closed", message: "Bye" }));
    await winner.end();
    await Promise.all([...ended].map((peer) => peer.drop()));
    await old.drop();
    await on.untilDisconnected(1);
  });
});

describe("a session ends with a protocol error for", () => {
  test.each([
    ["an ACK of more than was sent", ackFrame(1)],
    ["an ACK that is too short", { ...ping, type: ACK }],
    ["an ACK on a channel", { ...ackFrame(0), channel: 1 }],
  ])("%s", async (_, frame) => {
    await using on = await served();
    const { peer } = await enter(on);
    await peer.write(frame);
    expect(await peer.closeCode()).toBe("protocol_error");
    const [{ code }] = await on.untilDisconnected(1);
    expect(code).toBe("protocol_error");
    expect(on.types()).not.toContain("suspended");
  });

  test("an ACK in a session that cannot be resumed", async () => {
    await using on = await served({ graceMs: 0 });
    const { peer, said } = await enter(on);
    expect(said).not.toHaveProperty("session");
    await peer.write(ackFrame(0));
    expect(await peer.closeCode()).toBe("protocol_error");
  });

  test("another frame in place of the one that was begun", async () => {
    await using on = await served();
    const { peer, said } = await enter(on);
    const open = { kind: "exec", argv: ["cat"], stdin: true };
    await peer.write(jsonFrame(OPEN, open, 1));
    expect((await next(peer))?.type).toBe(STARTED);
    const begun = new Uint8Array(10 + 3);
    new DataView(begun.buffer).setUint32(0, 6);
    begun.set([DATA, 0, 0, 0, 0, 1], 4);
    await peer.write(begun);
    const echo = await next(peer);
    expect(echo?.payload).toHaveLength(3);
    await peer.drop();
    await suspended(on);
    const session = said.session!.id;
    const again = await enter(on, { session, received: 2 });
    expect(again.said.resumed).toEqual({ received: 1 });
    await again.peer.write(ping);
    expect(await again.peer.closeCode()).toBe("protocol_error");
  });
});

test("a session that is over waits for nobody, though its last words are still on their way", async () => {
  await using on = await served({ maxQueuedControlBytes: 40_000 });
  using timers = countTimers();
  // Of what the server says there is room for a handshake and little more.
  const [client, server] = pair(1_024);
  const over = on.server.accept(server);
  const { peer } = await enter({ ...on, dial: () => Promise.resolve(client) });
  const pings = Array.from({ length: 300 }, () => ping);
  await peer.write(...pings);
  expect((await next(peer))?.type).toBe(PONG);
  // It reads no more answers: those pile up until the server gives it up.
  await peer.write(...pings, ...pings, ...pings, ...pings);
  await peer.drop();
  await over;
  const [{ code }] = await on.untilDisconnected(1);
  expect(code).toBe("limit_exceeded");
  expect(on.types()).not.toContain("suspended");
  expect(timers.pending).toBe(0);
});

test("what was not acknowledged comes again, byte for byte, and no more", async () => {
  await using on = await served();
  const { peer, said } = await enter(on);
  const open = { kind: "exec", argv: ["echo", "hi"], stderr: false };
  await peer.write(jsonFrame(OPEN, open, 1));
  const first: Frame[] = [];
  while (first.length < 4) {
    const frame = await next(peer);
    if (frame === null) throw new Error("The connection ended");
    first.push(frame);
  }
  expect(first.map(({ type }) => type).sort()).toEqual(
    [STARTED, DATA, FrameType.END, EXIT].sort(),
  );
  await peer.drop();
  await suspended(on);
  const session = said.session!.id;
  const { peer: again, said: resumed } = await enter(on, {
    session,
    received: 1,
  });
  expect(resumed.resumed).toEqual({ received: 1 });
  for (const expected of first.slice(1)) {
    expect(await next(again)).toEqual(expected);
  }
  await again.write(ping);
  expect((await next(again))?.type).toBe(PONG);
  await leave(again);
});

test("a server acknowledges within a moment what has come", async () => {
  await using on = await served();
  const { peer } = await enter(on);
  const pong = { ...ping, type: PONG };
  await peer.write(pong, pong, pong);
  const ack = await peer.expect(ACK);
  expect(readAck(ack)).toBe(3);
  await leave(peer);
});
