import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { encodeControl } from "../core/frame/control.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { adapter } from "./support/adapter.ts";
import { textOf } from "./support/bytes.ts";
import { join } from "./support/frames.ts";
import { pair } from "./support/pair.ts";
import { untilGone } from "./support/processes.ts";
import { jsonFrame, RawPeer, serverProofFrame } from "./support/raw_peer.ts";
import { readProof } from "../core/session/hello.ts";
import { serverMessage } from "../core/auth/proof.ts";
import { TokenKey } from "../core/auth/token.ts";
import { decodeControl } from "../core/frame/control.ts";
import { serving, TOKEN } from "./support/serving.ts";

const { DATA, END, EXIT, OPEN, PROOF, REFUSED, STARTED, STOP } = FrameType;
const bytes = (text: string) => new TextEncoder().encode(text);
const silent = { stdout: "null", stderr: "null" } as const;

test("output that nobody wants from the start ends the command, and nothing else", async () => {
  await using served = await serving();
  await using session = await served.connect();
  const other = session.spawn("cat", { stdin: "piped" });
  const children = Array.from({ length: 5 }, () => session.spawn("yes"));
  await Promise.all(children.map((child) => child.stdout.cancel()));
  for (const child of children) {
    const { code, signal, reason } = await child.status;
    expect(reason).toBe(null);
    // Node's socket pair may tell a writer in words what a pipe tells by signal.
    expect([1, "SIGPIPE"]).toContain(code ?? signal);
    await untilGone([await child.pid]);
  }
  const both = session.spawn("echo a; echo b >&2; exit 3", { shell: true });
  await Promise.all([both.stdout.cancel(), both.stderr.cancel()]);
  expect((await both.status).reason).toBe(null);
  const writer = other.stdin.getWriter();
  await writer.write(bytes("still here"));
  await writer.close();
  expect(await textOf(other.stdout)).toBe("still here");
  expect(await other.status).toMatchObject({ code: 0 });
});

test("and so for a command that is refused", async () => {
  await using served = await serving();
  await using session = await served.connect();
  for (let round = 0; round < 5; round++) {
    const child = session.spawn("no-such-command-here");
    await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
    await expect(child.status).rejects.toMatchObject({ code: "not_found" });
  }
  expect(await session.spawn("true", silent).status)
    .toMatchObject({ code: 0 });
});

test("STOP before the process is there: STARTED comes first all the same", async () => {
  const gate = deferred<void>();
  await using served = await serving({}, async (command) => {
    await gate.promise;
    return await adapter.spawner(command);
  });
  const peer = new RawPeer(await served.dial());
  await peer.authenticate();
  const stop = (stream: number): Frame => ({
    type: STOP,
    stream,
    channel: 1,
    payload: new Uint8Array(0),
  });
  await peer.write(
    jsonFrame(OPEN, { kind: "exec", argv: ["yes"] }, 1),
    stop(1),
    stop(2),
    jsonFrame(OPEN, { kind: "other" }, 3),
  );
  // The answer to what was asked last: everything before has been read.
  const barrier = await peer.expect(REFUSED);
  expect(barrier.channel).toBe(3);
  gate.resolve();
  expect((await peer.expect(STARTED)).channel).toBe(1);
  const rest: Frame[] = [];
  while (rest.length < 3) rest.push((await peer.next())!);
  expect(rest.map(({ type }) => type).sort()).toEqual([END, END, EXIT]);
  const ends = rest.filter(({ type }) => type === END);
  expect(ends.map(({ stream }) => stream).sort()).toEqual([1, 2]);
  for (const { payload } of ends) {
    expect(payload).toEqual(encodeControl({ bytes: 0 }));
  }
  await peer.drop();
});

/** A session that has a command before the server has proved anything. */
async function earlySession(token: string) {
  const [clientEnd, serverEnd] = pair();
  const peer = new RawPeer(serverEnd);
  const greeted = peer.greetClient({ windowBytes: 0x4000_0000 }, token);
  const session = await connect(clientEnd, { token: TOKEN, early: true });
  const { transcript } = await greeted;
  const child = session.spawn("cat", { stdin: "piped" });
  const writer = child.stdin.getWriter();
  const written = Promise.all([
    writer.write(bytes("a secret ")),
    writer.write(bytes("or two")),
    writer.close(),
  ]);
  written.catch(() => {});
  const proof = await peer.expect(PROOF);
  expect((await peer.expect(OPEN)).channel).toBe(1);
  return { peer, session, child, written, transcript, proof };
}

test("input waits for the server's proof, however large a window it offers", async () => {
  const { peer, session, child, written } = await earlySession(
    "a token that the server made up",
  );
  await peer.write(serverProofFrame(new Uint8Array(32).fill(7)));
  const types = (await peer.rest()).map(({ type }) => type);
  expect(types).toEqual([FrameType.CLOSE]);
  for (const promise of [session.ready, child.status, written]) {
    await expect(promise).rejects.toMatchObject({ code: "unauthenticated" });
  }
});

test("and flows once the proof is there", async () => {
  const { peer, session, written, transcript, proof } = await earlySession(
    TOKEN,
  );
  const theirs = readProof(decodeControl(proof.payload, "PROOF"));
  const key = await TokenKey.from(TOKEN);
  await peer.write(
    serverProofFrame(await key.sign(serverMessage(transcript, theirs))),
  );
  const chunks: Uint8Array[] = [];
  let frame = await peer.next();
  for (; frame?.type === DATA; frame = await peer.next()) {
    chunks.push(frame.payload);
  }
  expect(new TextDecoder().decode(join(chunks))).toBe("a secret or two");
  expect(frame?.type).toBe(END);
  await written;
  const closing = session.close();
  await peer.rest();
  await closing;
});

test("a command that the server turned away with its client was not started", async () => {
  let open = true;
  await using served = await serving({ maxSessions: 1 }, undefined, {
    gate: () => open ? Promise.resolve() : Promise.reject(new Error("No log")),
  });
  const early = async () => {
    const session = await served.connect({ early: true });
    const child = session.spawn("true", silent);
    const error = await child.status.catch((error) => error);
    await session.close();
    return error;
  };
  const turnedAway = { code: "limit_exceeded", cause: "Nothing was started" };
  const first = await served.connect();
  const full = await early();
  expect(full).toMatchObject(turnedAway);
  expect(full.message).toContain("maxSessions");
  await first.close();
  await served.untilDisconnected(2);
  open = false;
  const gated = await early();
  expect(gated).toMatchObject(turnedAway);
  expect(gated.message).toContain("No log");
  expect(served.spawned).toEqual([]);
});

test("but behind the server's proof its CLOSE leaves it unknown", async () => {
  const { peer, session, child, written, transcript, proof } =
    await earlySession(TOKEN);
  const key = await TokenKey.from(TOKEN);
  const theirs = readProof(decodeControl(proof.payload, "PROOF"));
  const message = serverMessage(transcript, theirs);
  await peer.write(
    serverProofFrame(await key.sign(message)),
    jsonFrame(FrameType.CLOSE, { code: "limit_exceeded", message: "Enough" }),
  );
  await expect(child.status).rejects.toMatchObject({ code: "connection_lost" });
  await expect(written).rejects.toBeDefined();
  await session.close();
});
