import { afterEach, describe, expect, test } from "vitest";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { CLIENT_PREFACE } from "../core/frame/preface.ts";
import { MAX_HANDSHAKE_FRAME_BYTES, MIN_FRAME_BYTES } from "../core/limits.ts";
import type { Session } from "../core/client.ts";
import type { Duplex } from "../core/ports.ts";
import type { ServerEvent } from "../core/server.ts";
import type { ServerLimits } from "../core/server_limits.ts";
import { pair } from "./support/faults.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { jsonFrame, proofFrame, RawPeer } from "./support/raw_peer.ts";
import {
  arriveFrom,
  type Serving,
  serving,
  warmUp,
} from "./support/serving.ts";

type Refused = Extract<ServerEvent, { type: "refused" }>;

const open: (() => Promise<unknown>)[] = [];

useLeakCheck(warmUp);

afterEach(async () => {
  // Before that check: the last to be asked for is the first to be done.
  for (const close of open.splice(0).reverse()) await close();
});

async function start(limits: Partial<ServerLimits> = {}): Promise<Serving> {
  return await serving(limits);
}

async function begin(limits: Partial<ServerLimits>): Promise<Serving> {
  const served = await start(limits);
  open.push(async () => await served[Symbol.asyncDispose]());
  return served;
}

/** A connection on a real socket that says nothing. */
async function silent(served: Serving): Promise<Duplex> {
  const duplex = await served.dial();
  open.push(() => drop(duplex));
  return duplex;
}

/** The same, with somebody to play by hand on it. */
async function played(served: Serving): Promise<RawPeer> {
  const peer = new RawPeer(await served.dial());
  open.push(() => peer.drop());
  return peer;
}

async function drop({ readable, writable }: Duplex): Promise<void> {
  await Promise.allSettled([readable.cancel(), writable.abort()]);
}

/** Whether one more connection is dropped: at once, or while it is made. */
async function dropped(served: Serving): Promise<boolean> {
  try {
    return await hungUp(await silent(served));
  } catch (error) {
    expect(error).toMatchObject({ code: "connection_failed" });
    return true;
  }
}

/** Whether the server hangs up, whichever way the system tells of it. */
async function hungUp(duplex: Duplex): Promise<boolean> {
  const reader = duplex.readable.getReader();
  try {
    return (await reader.read()).done;
  } catch {
    return true;
  } finally {
    reader.releaseLock();
  }
}

const refused = ({ events }: Serving): Refused[] =>
  events.filter((event) => event.type === "refused");
const connected = ({ events }: Serving): number =>
  events.filter(({ type }) => type === "connected").length;

async function untilConnected(served: Serving, count: number): Promise<void> {
  await eventually(() => connected(served) === count, () => `${count} there`);
}

describe("connections on real sockets", () => {
  test("in total: as many as the limit, one past it is dropped", async () => {
    const served = await begin({ maxConnections: 3 });
    const session = await served.connect();
    await silent(served);
    const last = await silent(served);
    await untilConnected(served, 3);
    for (let i = 0; i < 20; i++) {
      expect(await dropped(served)).toBe(true);
    }
    expect(served.server.connectionCount).toBe(3);
    expect(connected(served)).toBe(3);
    // Told at once, and not twenty times.
    expect(refused(served)).toEqual([expect.objectContaining({
      reason: "max_connections",
      count: 1,
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      message: "3 connections are there already, as many as the limit " +
        "maxConnections allows",
    })]);
    expect(await session.output("true")).toMatchObject({ code: 0 });
    await drop(last);
    await served.untilDisconnected(1);
    await (await served.connect()).close();
    await session.close();
    await served.server.close();
    expect(refused(served)[1]).toMatchObject({ count: 19 });
  });

  test("that prove nothing: as many as the limit, one past it is dropped", async () => {
    const served = await begin({ maxUnauthenticated: 4, earlyDropStart: 4 });
    const session = await served.connect();
    for (let i = 0; i < 4; i++) await silent(served);
    await untilConnected(served, 5);
    expect(await dropped(served)).toBe(true);
    expect(refused(served)).toMatchObject([{ reason: "max_unauthenticated" }]);
    // Whoever is known does not count, and is not disturbed.
    expect(await session.output("true")).toMatchObject({ code: 0 });
    await session.close();
  });

  test("that prove nothing: from the start on, at random", async () => {
    const served = await begin({
      maxUnauthenticated: 50,
      earlyDropStart: 2,
      earlyDropPercent: 50,
    });
    const ends: Promise<boolean>[] = [];
    let gone = 0;
    for (let i = 0; i < 40; i++) {
      const end = dropped(served);
      end.then(() => gone++);
      ends.push(end);
    }
    await eventually(
      () => connected(served) + gone >= 40,
      () => `${connected(served)} in, ${gone} dropped`,
    );
    // 2 are let in for certain. Of 38, none or all is one in 10^11.
    expect(connected(served)).toBeGreaterThan(2);
    expect(refused(served)).toMatchObject([{ reason: "early_drop", count: 1 }]);
    await served.server.close();
    const sum = refused(served).reduce((all, { count }) => all + count, 0);
    expect(sum + connected(served)).toBe(40);
    await Promise.all(ends);
  });

  test("a dropped one is not read: not its preface, nor its proof", async () => {
    const served = await begin({ maxConnections: 1 });
    const session = await served.connect();
    const [clientEnd, serverEnd] = pair();
    let reads = 0;
    const readable = new ReadableStream<Uint8Array>({
      pull: () => void reads++,
    }, { highWaterMark: 0 });
    await served.server.accept({ ...serverEnd, readable });
    expect(reads).toBe(0);
    expect(await hungUp(clientEnd)).toBe(true);
    await drop(clientEnd);
    await session.close();
  });

  test("a client is told that it lost the connection", async () => {
    const served = await begin({ maxConnections: 1 });
    const session = await served.connect();
    await expect(served.connect()).rejects.toMatchObject({
      code: expect.stringMatching(
        /^(connection_failed|connection_lost|protocol_error)$/,
      ),
    });
    await session.close();
  });
});

describe("penalties", () => {
  async function servingTo(limits: Partial<ServerLimits>, peers: string[]) {
    const served = await begin(limits);
    arriveFrom(served, () => peers.shift() ?? "unix");
    return served;
  }

  async function guess(served: Serving): Promise<string | null> {
    try {
      const peer = await played(served);
      const { clientProof } = await peer.greetServer();
      clientProof[0] ^= 1;
      await peer.write(proofFrame(clientProof));
      return await peer.closeCode();
    } catch {
      return null;
    }
  }

  test("a source that guesses is dropped, and others are not", async () => {
    const mean = (port: number) => `192.0.2.1:${port}`;
    const served = await servingTo(
      { penaltyProofMs: 20_000, penaltyThresholdMs: 30_000 },
      [mean(1), mean(2), mean(3), "192.0.2.2:1", "[2001:db8::1]:1"],
    );
    expect(await guess(served)).toBe("unauthenticated");
    expect(await guess(served)).toBe("unauthenticated");
    expect(await guess(served)).toBe(null);
    expect(refused(served)).toMatchObject([{
      reason: "penalty",
      peer: mean(3),
      message: expect.stringMatching(/^192\.0\.2\.1 has a penalty of \d+ s/),
    }]);
    await (await served.connect()).close();
    await (await served.connect()).close();
  });

  test("who lets the deadline pass is dropped the next time", async () => {
    const served = await servingTo(
      { handshakeTimeoutMs: 50, penaltyThresholdMs: 9_000 },
      ["[2001:db8::1]:1", "[2001:db8::2]:1"],
    );
    await dropped(served);
    await served.untilDisconnected(1);
    expect(await dropped(served)).toBe(true);
    expect(refused(served)).toMatchObject([{ reason: "penalty" }]);
  });
});

describe("a stranger's first frame", () => {
  /** The client's HELLO with a field that nobody knows, and these limits. */
  function hello(bytes: number, frame = 65_536): Frame {
    const fields = {
      min: 1,
      max: 1,
      nonce: "A".repeat(43),
      features: [],
      limits: { frame, control: 65_536, window: 65_536 },
      software: "",
    };
    const { byteLength } = jsonFrame(FrameType.HELLO, fields).payload;
    const padded = { ...fields, software: "x".repeat(bytes - byteLength) };
    return jsonFrame(FrameType.HELLO, padded);
  }

  test("has 16 KiB, and one byte past it ends the connection", async () => {
    const served = await begin({});
    const good = await played(served);
    await good.write(CLIENT_PREFACE, hello(MAX_HANDSHAKE_FRAME_BYTES));
    await good.expect(FrameType.HELLO);
    const bad = await played(served);
    await bad.write(CLIENT_PREFACE, hello(MAX_HANDSHAKE_FRAME_BYTES + 1));
    expect(await bad.closeCode()).toBe("limit_exceeded");
    await good.drop();
    await served.untilDisconnected(2);
  });

  test("says that it takes frames of 1 KiB at least, and not one byte less", async () => {
    const served = await begin({});
    const good = await played(served);
    await good.write(CLIENT_PREFACE, hello(300, MIN_FRAME_BYTES));
    await good.expect(FrameType.HELLO);
    const bad = await played(served);
    await bad.write(CLIENT_PREFACE, hello(300, MIN_FRAME_BYTES - 1));
    expect(await bad.closeCode()).toBe("protocol_error");
    await good.drop();
    await served.untilDisconnected(2);
  });
});

describe("proofs of a connection", () => {
  test("one, and a right one behind a wrong one opens nothing", async () => {
    const served = await begin({});
    const peer = await played(served);
    const { clientProof } = await peer.greetServer();
    const wrong = new Uint8Array(clientProof);
    wrong[0] ^= 1;
    await peer.write(
      proofFrame(wrong),
      proofFrame(clientProof),
      jsonFrame(FrameType.OPEN, { kind: "exec", argv: ["true"] }, 1),
    );
    expect(await peer.closeCode()).toBe("unauthenticated");
    await served.untilDisconnected(1);
    expect(served.spawned).toEqual([]);
  });

  test("none behind the one that was right", async () => {
    const served = await begin({});
    const peer = await played(served);
    const { clientProof } = await peer.greetServer();
    await peer.write(proofFrame(clientProof), proofFrame(clientProof));
    await peer.expect(FrameType.PROOF);
    expect(await peer.closeCode()).toBe("protocol_error");
  });
});

describe("commands", () => {
  /** Takes the places that there are, and one more; frees one and takes it. */
  async function fill(sessions: Session[], served: Serving, limit: string) {
    const running = sessions.map((session) =>
      session.spawn("cat", { stdin: "piped", stdout: "null", stderr: "null" })
    );
    for (const { pid } of running) await pid;
    const last = sessions[sessions.length - 1];
    await expect(last.output("true", { env: { SECRET: "s" } })).rejects
      .toMatchObject({
        code: "limit_exceeded",
        message: expect.stringContaining(`limit ${limit}`),
      });
    // Told like any other, with what was asked for.
    expect(served.events.filter(({ type }) => type === "command_refused"))
      .toEqual([expect.objectContaining({
        code: "limit_exceeded",
        message: expect.stringContaining(limit),
        argv: ["true"],
        env: ["SECRET"],
      })]);
    expect(served.spawned).toHaveLength(running.length);
    await running[0].stdin.close();
    await running[0].status;
    expect(await last.output("true")).toMatchObject({ code: 0 });
    for (const session of new Set(sessions)) await session.close();
  }

  test("maxChannels: as many on one session, and one past it", async () => {
    const served = await begin({ maxChannels: 2 });
    const session = await served.connect();
    await fill([session, session], served, "maxChannels");
  });

  test("maxCommands: as many on one session, and one past it", async () => {
    const served = await begin({ maxCommands: 2 });
    const [first, other] = [await served.connect(), await served.connect()];
    const bystander = other.spawn("cat", { stdin: "piped" });
    await bystander.pid;
    served.spawned.length = 0;
    await fill([first, first], served, "maxCommands (--max-commands)");
    await other.close();
  });

  test("maxCommandsPerIdentity: as many on all its sessions, and one past it", async () => {
    const served = await begin({ maxCommandsPerIdentity: 2 });
    const sessions = [await served.connect(), await served.connect()];
    await fill(
      sessions,
      served,
      "maxCommandsPerIdentity (--max-commands-per-identity)",
    );
  });

  test("maxTotalCommands: as many on all sessions, and one past it", async () => {
    const served = await begin({ maxTotalCommands: 2 });
    const sessions = [await served.connect(), await served.connect()];
    await fill(
      sessions,
      served,
      "maxTotalCommands (--max-total-commands)",
    );
  });
});

describe("sessions", () => {
  test.each(["maxSessions", "maxSessionsPerIdentity"] as const)(
    "%s: as many, and one past it is told why",
    async (name) => {
      const served = await begin({ [name]: 2 });
      const sessions = [await served.connect(), await served.connect()];
      await expect(served.connect()).rejects.toMatchObject({
        code: "limit_exceeded",
        message: expect.stringContaining(`limit ${name} is reached: 2 for`),
      });
      const [end] = await served.untilDisconnected(1);
      expect(end).toMatchObject({
        code: "limit_exceeded",
        authenticated: false,
        message: expect.stringContaining(`limit ${name} `),
      });
      await sessions[0].close();
      await served.untilDisconnected(2);
      const next = await served.connect();
      for (const session of [sessions[1], next]) {
        expect(await session.output("true")).toMatchObject({ code: 0 });
        await session.close();
      }
    },
  );

  test("one lasts until its commands are gone, its connection does not", async () => {
    const served = await begin({
      maxSessionsPerIdentity: 1,
      maxConnectionsPerIdentity: 1,
      shutdownGraceMs: 60_000,
    });
    const session = await served.connect();
    const stubborn = session.spawn('trap "" TERM; echo ready; sleep 100', {
      shell: true,
      killAfterMs: 60_000,
    });
    await stubborn.stdout.getReader().read();
    stubborn.status.catch(() => {});
    await session.close();
    const message = await refusalOf(served);
    expect(message).toContain("maxSessionsPerIdentity");
    await served.server.close(0);
  });

  /** Why the next session is refused, once the connection before is gone. */
  async function refusalOf(served: Serving): Promise<string> {
    for (;;) {
      const before = served.disconnected().length;
      const peer = await played(served);
      const { clientProof } = await peer.greetServer();
      await peer.write(proofFrame(clientProof));
      await peer.closeCode();
      const ends = await served.untilDisconnected(before + 1);
      const { message } = ends[before];
      if (!message.includes("maxConnectionsPerIdentity")) return message;
    }
  }
});
