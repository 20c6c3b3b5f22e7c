import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { decodeControl } from "../core/frame/control.ts";
import { FrameType } from "../core/frame/frame.ts";
import { CLIENT_PREFACE } from "../core/frame/preface.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { readProof } from "../core/session/hello.ts";
import { toBase64Url } from "../core/auth/base64url.ts";
import { makeNonce, serverMessage } from "../core/auth/proof.ts";
import { TokenKey } from "../core/auth/token.ts";
import { Server } from "../core/server.ts";
import { pair, recorded, type Recording } from "./support/faults.ts";
import { join } from "./support/frames.ts";
import {
  jsonFrame,
  proofFrame,
  RawPeer,
  serverProofFrame,
} from "./support/raw_peer.ts";
import { clientOn, serverOn } from "./support/session_ends.ts";
import { PLATFORM, TOKEN } from "./support/serving.ts";

const OPEN = jsonFrame(FrameType.OPEN, { kind: "exec", argv: ["true"] }, 1);
const SHORT = "fifteen bytes..";

test("a wrong token is refused on both sides, and nothing more is said", async () => {
  const [client, serverEnd] = pair();
  const recording: Recording = { sent: [], received: [] };
  const server = serverOn(serverEnd);
  const error = await clientOn(recorded(client, recording), {
    token: "another token of some length",
  });
  expect(error?.code).toBe("unauthenticated");
  expect(await server.code()).toBe("unauthenticated");
  const said = new TextDecoder().decode(join(recording.received));
  expect(said.split("Authentication failed")).toHaveLength(2);
  expect(said).not.toContain("platform");
  const sent = new TextDecoder().decode(join(recording.sent));
  for (const text of [said, sent, String(error?.message)]) {
    expect(text).not.toContain(TOKEN);
    expect(text).not.toContain("another token");
  }
});

test("a token that is too short is refused before anything is dialled", async () => {
  let dialled = 0;
  const dial = () => {
    dialled++;
    return Promise.resolve(pair()[0]);
  };
  const connecting = connect(dial, { token: SHORT });
  await expect(connecting).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(connecting).rejects.not.toThrow(SHORT);
  expect(dialled).toBe(0);
});

test("a server with a token that is too short serves nobody", async () => {
  const [client, serverEnd] = pair();
  const server = serverOn(serverEnd, {}, SHORT);
  await expect(server.server.ready()).rejects.toMatchObject({
    code: "invalid_argument",
  });
  expect((await clientOn(client, { token: TOKEN }))?.code).toMatch(
    /connection_lost|protocol_error/,
  );
  expect(server.spawned).toBe(0);
});

test("commands that come with a wrong proof are not run", async () => {
  const [client, serverEnd] = pair();
  const server = serverOn(serverEnd);
  const peer = new RawPeer(client);
  await peer.greetServer();
  await peer.write(proofFrame(new Uint8Array(32)), OPEN);
  expect(await peer.closeCode()).toBe("unauthenticated");
  expect(await server.code()).toBe("unauthenticated");
  expect(server.spawned).toBe(0);
});

test("commands that come before the proof are not run", async () => {
  const [client, serverEnd] = pair();
  const server = serverOn(serverEnd);
  const peer = new RawPeer(client);
  const { clientProof } = await peer.greetServer();
  await peer.write(OPEN, proofFrame(clientProof));
  expect(await peer.closeCode()).toBe("protocol_error");
  expect(await server.code()).toBe("protocol_error");
  expect(server.spawned).toBe(0);
});

/** A client against a server that is played by hand. */
function clientAgainst(play: (peer: RawPeer) => Promise<void>, early = false) {
  const [clientEnd, serverEnd] = pair();
  const peer = new RawPeer(serverEnd);
  const played = play(peer);
  return {
    peer,
    played,
    connecting: connect(clientEnd, { token: TOKEN, early }),
  };
}

const LIES = [
  jsonFrame(FrameType.STARTED, { pid: 1 }, 1),
  {
    type: FrameType.DATA,
    stream: 1,
    channel: 1,
    payload: new TextEncoder().encode("lies"),
  },
  jsonFrame(FrameType.END, { bytes: 4 }, 1, 1),
  jsonFrame(FrameType.END, { bytes: 0 }, 1, 2),
  jsonFrame(FrameType.EXIT, { code: 0, signal: null }, 1),
];

test("a client believes nothing of a server that cannot prove its token", async () => {
  for (const proof of ["wrong", "none"]) {
    const sawOpen = deferred<void>();
    const { connecting, played, peer } = clientAgainst(async (peer) => {
      await peer.greetClient({}, "a token that the server made up");
      await peer.expect(FrameType.PROOF);
      await peer.expect(FrameType.OPEN);
      sawOpen.resolve();
      const forged = serverProofFrame(new Uint8Array(32).fill(7));
      await peer.write(...(proof === "wrong" ? [forged] : []), ...LIES);
    }, true);
    const session = await connecting;
    const child = session.spawn("true");
    await sawOpen.promise;
    const code = proof === "wrong" ? "unauthenticated" : "protocol_error";
    await expect(session.ready).rejects.toMatchObject({ code });
    // Whoever breaks the rules there may have run what we sent.
    const fate = {
      code: proof === "wrong" ? "unauthenticated" : "connection_lost",
    };
    await expect(child.pid).rejects.toMatchObject(fate);
    await expect(child.status).rejects.toMatchObject(fate);
    const reading = new Response(child.stdout).text();
    await expect(reading).rejects.toMatchObject({ code });
    expect(() => session.platform).toThrow("has not proved");
    await played;
    expect(await peer.closeCode()).toBe(code);
    expect((await session.closed).code).toBe(code);
  }
});

test("a server that sends the client's own proof back has proved nothing", async () => {
  const { connecting, played, peer } = clientAgainst(async (peer) => {
    await peer.greetClient();
    const { payload } = await peer.expect(FrameType.PROOF);
    const theirs = readProof(decodeControl(payload, "PROOF"));
    await peer.write(serverProofFrame(theirs));
  });
  await expect(connecting).rejects.toMatchObject({ code: "unauthenticated" });
  await played;
  expect(await peer.closeCode()).toBe("unauthenticated");
});

test("a proof that leaves the client's out proves nothing", async () => {
  const { connecting } = clientAgainst(async (peer) => {
    const { transcript } = await peer.greetClient();
    await peer.expect(FrameType.PROOF);
    const key = await TokenKey.from(TOKEN);
    const ours = await key.sign(serverMessage(transcript, new Uint8Array(0)));
    await peer.write(serverProofFrame(ours));
  });
  await expect(connecting).rejects.toMatchObject({ code: "unauthenticated" });
});

test("a recorded handshake opens nothing the second time", async () => {
  const recording: Recording = { sent: [], received: [] };
  const [client, serverEnd] = pair();
  const first = serverOn(serverEnd);
  expect(await clientOn(recorded(client, recording))).toBeNull();
  expect(await first.code()).toBe("closed");

  const [again, serverAgain] = pair();
  const second = serverOn(serverAgain);
  const peer = new RawPeer(again);
  await peer.write(...recording.sent);
  expect(await peer.closeCode()).toBe("unauthenticated");
  expect(await second.code()).toBe("unauthenticated");
});

test("limits that somebody in between has lowered break the proof", async () => {
  const [client, middle] = pair();
  const [middleToo, serverEnd] = pair();
  const server = serverOn(serverEnd);
  const connecting = clientOn(client);
  // What the client says goes through unchanged but for one digit.
  const relay = middleToo.readable.pipeTo(middle.writable).catch(() => {});
  const lower = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const at = new TextDecoder("latin1").decode(chunk).indexOf("65536");
      if (at >= 0) chunk = chunk.slice();
      if (at >= 0) chunk[at] = "1".charCodeAt(0);
      controller.enqueue(chunk);
    },
  });
  const lowered = middle.readable.pipeThrough(lower)
    .pipeTo(middleToo.writable).catch(() => {});
  expect((await connecting)?.code).toBe("unauthenticated");
  expect(await server.code()).toBe("unauthenticated");
  await Promise.all([relay, lowered]);
});

const hello = (fields: object) =>
  jsonFrame(FrameType.HELLO, {
    min: 1,
    max: 1,
    nonce: toBase64Url(makeNonce()),
    limits: {
      frame: DEFAULT_LIMITS.maxFrameBytes,
      control: DEFAULT_LIMITS.maxControlBytes,
      window: DEFAULT_LIMITS.windowBytes,
    },
    features: [],
    software: "test",
    ...fields,
  });

test.each([
  [{ min: 2, max: 3 }, "version_mismatch"],
  [{ min: 1, max: 9 }, null],
  [{ min: 0, max: 1 }, "protocol_error"],
])("a client that speaks versions %j gets %s", async (versions, code) => {
  const [client, serverEnd] = pair();
  const server = serverOn(serverEnd);
  const peer = new RawPeer(client);
  await peer.write(CLIENT_PREFACE, hello(versions));
  if (code === null) {
    const answer = await peer.expect(FrameType.HELLO);
    expect(decodeControl(answer.payload, "HELLO").integer("version")).toBe(1);
    await peer.drop();
  } else {
    expect(await peer.closeCode()).toBe(code);
    expect(await server.code()).toBe(code);
  }
  await server.over;
});

test("nothing at all is said to a peer whose preface is wrong", async () => {
  const [client, serverEnd] = pair();
  const server = serverOn(serverEnd);
  const writer = client.writable.getWriter();
  await writer.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  const said = await client.readable.getReader().read().catch(() => "dropped");
  expect(said).toBe("dropped");
  expect(await server.code()).toBe("protocol_error");
});

test("a server that is closed meanwhile ends a handshake", async () => {
  const server = new Server({
    token: TOKEN,
    platform: PLATFORM,
    environment: () => ({}),
    spawner: () => Promise.reject(new Error("None")),
  });
  const [client, serverEnd] = pair();
  const over = server.accept(serverEnd);
  const peer = new RawPeer(client);
  await peer.greetServer();
  await server.close();
  await over;
  expect(await peer.closeCode()).toBeNull();
  expect(server.connectionCount).toBe(0);
});
