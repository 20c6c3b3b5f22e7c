import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { decodeControl } from "../core/frame/control.ts";
import { FrameType } from "../core/frame/frame.ts";
import { CLIENT_PREFACE, SERVER_PREFACE } from "../core/frame/preface.ts";
import type { Limits } from "../core/limits.ts";
import { Server } from "../core/server.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { pair } from "./support/faults.ts";
import { fromHex } from "./support/frames.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { PLATFORM, TOKEN } from "./support/serving.ts";
import { type FrameCase, frameVectors } from "./support/vectors.ts";

const { OPEN, PROOF, REFUSED, STARTED } = FrameType;
const OPEN_CAT = { kind: "exec", argv: ["cat"], stdin: true };

/** The types of the frames in these bytes. */
function typesIn(bytes: Uint8Array): number[] {
  const types: number[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 0; at + 10 <= bytes.byteLength;) {
    types.push(view.getUint8(at + 4));
    at += 10 + view.getUint32(at);
  }
  return types;
}

function limitsOf({ limits, authenticated }: FrameCase): Partial<Limits> {
  if (!authenticated) return {};
  return { maxFrameBytes: limits.frame, maxControlBytes: limits.control };
}

/** A client played by hand, as far as the case begins; the server is ours. */
async function toServer(vector: FrameCase, types: number[]) {
  const [clientEnd, serverEnd] = pair();
  const server = new Server({
    token: TOKEN,
    platform: PLATFORM,
    environment: () => ({}),
    spawner: fakeSpawner({ exit: null }),
    limits: limitsOf(vector),
  });
  server.accept(serverEnd);
  const peer = new RawPeer(clientEnd);
  if (vector.authenticated) {
    await peer.authenticate();
    if (!types.includes(OPEN)) {
      await peer.write(jsonFrame(OPEN, OPEN_CAT, 1));
      await peer.expect(STARTED);
    }
  } else if (types[0] === PROOF) await peer.greetServer();
  else await peer.write(CLIENT_PREFACE);
  return peer;
}

/** A server played by hand, as far as the case begins; the client is ours. */
async function toClient(vector: FrameCase, types: number[]) {
  const [clientEnd, serverEnd] = pair();
  const peer = new RawPeer(serverEnd);
  const connecting = connect(clientEnd, {
    token: TOKEN,
    limits: limitsOf(vector),
  });
  connecting.catch(() => {});
  if (vector.authenticated) {
    await peer.admit();
    (await connecting).spawn("cat", { stdin: "piped" });
    await peer.expect(OPEN);
    const answers = types[0] === STARTED || types[0] === REFUSED;
    if (!answers) await peer.write(jsonFrame(STARTED, { pid: 1 }, 1));
  } else if (types[0] === PROOF) {
    await peer.greetClient();
    await peer.expect(PROOF);
  } else {
    await peer.expect(FrameType.HELLO);
    await peer.write(SERVER_PREFACE);
  }
  return peer;
}

const { invalid, refused } = frameVectors;

test("there are vectors for what is invalid, and all are run", () => {
  expect(invalid.length).toBeGreaterThan(290);
});

test.each(invalid)("invalid: $name", async (vector) => {
  const bytes = fromHex(vector.hex);
  const types = typesIn(bytes);
  const peer = vector.from === "client"
    ? await toServer(vector, types)
    : await toClient(vector, types);
  // The limit on a frame must be kept before its payload has come.
  const oneFrame = types.length === 1 && vector.error === "limit_exceeded";
  await peer.write(oneFrame ? bytes.subarray(0, vector.known) : bytes);
  expect(await peer.closeCode()).toBe(vector.error);
});

test.each(refused)("refused: $name", async (vector) => {
  const peer = await toServer(vector, [OPEN]);
  await peer.write(fromHex(vector.hex));
  const frame = await peer.expect(REFUSED);
  expect(frame.channel).toBe(vector.channel);
  const code = decodeControl(frame.payload, "REFUSED").text("code");
  expect(code).toBe(vector.refused);
  // The session goes on.
  await peer.write(jsonFrame(OPEN, OPEN_CAT, vector.channel + 2));
  await peer.expect(STARTED);
  await peer.drop();
});
