import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { FrameType } from "../core/frame/frame.ts";
import type { Duplex } from "../core/ports.ts";
import {
  cutAfter,
  fragmented,
  oneByteReads,
  pair,
  recorded,
  type Recording,
  stalledAfter,
  withoutWritev,
} from "./support/faults.ts";
import { bytesOf, join } from "./support/frames.ts";
import { jsonFrame } from "./support/raw_peer.ts";
import { clientOn, serverOn } from "./support/session_ends.ts";
import { TOKEN } from "./support/serving.ts";

/** The bytes of a whole handshake and a goodbye, each way. */
async function handshakeBytes() {
  const recording: Recording = { sent: [], received: [] };
  const [client, serverEnd] = pair();
  const server = serverOn(serverEnd);
  expect(await clientOn(recorded(client, recording))).toBeNull();
  await server.over;
  return {
    sent: join(recording.sent).byteLength,
    received: join(recording.received).byteLength,
  };
}

test.each([
  ["one byte at a time", oneByteReads],
  ["in pieces of changing size", (d: Duplex) => fragmented(d, [1, 7, 3, 40])],
  ["without a gathered write", withoutWritev],
])("a handshake goes through %s", async (_, wrap) => {
  const [client, serverEnd] = pair();
  const server = serverOn(wrap(serverEnd));
  expect(await clientOn(wrap(client))).toBeNull();
  expect(await server.code()).toBe("closed");
});

const LOSSES = ["connection_lost", "protocol_error"];

test.each(["received", "sent"] as const)(
  "a handshake that is cut after any byte %s by the client ends both sides with an error",
  async (direction) => {
    const total = (await handshakeBytes())[direction];
    const goodbye = bytesOf(jsonFrame(FrameType.CLOSE, {
      code: "closed",
      message: "Session closed",
    }));
    // The client says goodbye when all has gone well.
    const last = total - (direction === "sent" ? goodbye.byteLength : 0) - 1;
    expect(last).toBeGreaterThan(230);
    for (let at = 0; at <= last; at++) {
      const [client, serverEnd] = pair();
      const server = serverOn(serverEnd);
      const error = await clientOn(cutAfter(client, at, direction));
      expect(LOSSES, `cut after ${at} bytes`).toContain(error?.code);
      expect(LOSSES, `cut after ${at} bytes`).toContain(await server.code());
      expect(server.spawned).toBe(0);
    }
  },
);

test("a handshake that the server's side ends cleanly, after any byte, is an error for the client", async () => {
  const { received } = await handshakeBytes();
  for (let at = 0; at < received; at += 3) {
    const [client, serverEnd] = pair();
    const server = serverOn(serverEnd);
    const error = await clientOn(cutAfter(client, at, "received", "end"));
    expect(LOSSES, `ended after ${at} bytes`).toContain(error?.code);
    expect(error?.message).toMatch(/ended|closed/);
    await server.over;
  }
});

test.each(["received", "sent"] as const)(
  "a handshake that stands still (%s by the client) hits the deadline on both sides",
  async (direction) => {
    for (const at of [0, 8, 100, 230]) {
      const [client, serverEnd] = pair();
      const server = serverOn(serverEnd, { handshakeTimeoutMs: 60 });
      const error = await clientOn(stalledAfter(client, at, direction), {
        limits: { handshakeTimeoutMs: 60 },
      });
      expect(error?.code, `stalled after ${at}`).toMatch(
        /^(timed_out|connection_lost)$/,
      );
      expect(await server.code()).toMatch(/^(timed_out|connection_lost)$/);
    }
  },
);

test("a server that hears nothing closes within its own deadline", async () => {
  const [, serverEnd] = pair();
  const server = serverOn(serverEnd, { handshakeTimeoutMs: 30 });
  expect(await server.code()).toBe("timed_out");
});

test("a client that hears nothing gives up within its own deadline", async () => {
  const [client] = pair();
  const error = await clientOn(client, { limits: { handshakeTimeoutMs: 30 } });
  expect(error?.code).toBe("timed_out");
  expect(error?.message).toContain("30 ms");
});

test("a caller's signal ends a handshake", async () => {
  const [client] = pair();
  const cancel = new AbortController();
  const connecting = connect(client, { token: TOKEN, signal: cancel.signal });
  cancel.abort(new Error("enough"));
  await expect(connecting).rejects.toMatchObject({ code: "cancelled" });
});
