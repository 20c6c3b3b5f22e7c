import { expect, test, vi } from "vitest";
import { FrameType } from "../core/frame/frame.ts";
import { Server, type ServerEvent } from "../core/server.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { pass, settle, useFakeTime } from "./support/fake_time.ts";
import { pair } from "./support/faults.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { PLATFORM, TOKEN } from "./support/serving.ts";

useFakeTime();

const MINUTE = 60_000;
const { CLOSE, EXIT, OPEN, REFUSED, SIGNAL, STARTED } = FrameType;
const open = (channel: number, kind = "exec") =>
  jsonFrame(OPEN, { kind, argv: ["x"], stdout: false, stderr: false }, channel);

/** A client played by hand on a server whose commands run until they are killed. */
async function begin(idleTimeoutMs: number) {
  const events: ServerEvent[] = [];
  const server = new Server({
    token: TOKEN,
    platform: PLATFORM,
    environment: () => ({}),
    spawner: fakeSpawner({ exit: null }),
    limits: { idleTimeoutMs, keepaliveMs: Infinity },
    onEvent: (event) => events.push(event),
  });
  const [clientEnd, serverEnd] = pair();
  const over = server.accept(serverEnd);
  const peer = new RawPeer(clientEnd);
  await peer.authenticate();
  return { peer, over, events };
}

test("a session without a channel is closed at the limit, not before", async () => {
  const { peer, over, events } = await begin(MINUTE);
  await pass(MINUTE - 1);
  expect(events.at(-1)?.type).toBe("authenticated");
  await pass(1);
  const close = await peer.expect(CLOSE);
  expect(new TextDecoder().decode(close.payload)).toBe(JSON.stringify({
    code: "timed_out",
    message:
      "Session has been idle for 60000 ms, as long as the limit idleTimeoutMs " +
      "allows",
  }));
  await peer.end();
  await over;
  expect(events.at(-1)).toMatchObject({
    type: "disconnected",
    code: "timed_out",
    authenticated: true,
  });
  expect(vi.getTimerCount()).toBe(0);
});

test("one with a channel is not, and begins anew when that has ended", async () => {
  const { peer, over, events } = await begin(MINUTE);
  await pass(MINUTE - 1);
  await peer.write(open(1), open(3));
  await peer.expect(STARTED);
  await peer.expect(STARTED);
  await pass(60 * MINUTE, MINUTE);
  await peer.write(jsonFrame(SIGNAL, { signal: "SIGKILL" }, 1));
  await peer.expect(EXIT);
  await pass(60 * MINUTE, MINUTE);
  await peer.write(jsonFrame(SIGNAL, { signal: "SIGKILL" }, 3));
  await peer.expect(EXIT);
  await pass(MINUTE - 1);
  // One that is refused was there for a moment, too.
  await peer.write(open(5, "other"));
  await peer.expect(REFUSED);
  await settle();
  await pass(MINUTE - 1);
  expect(events.some(({ type }) => type === "disconnected")).toBe(false);
  await pass(1);
  await peer.expect(CLOSE);
  await peer.end();
  await over;
});

test("by default none is", async () => {
  const { peer, over, events } = await begin(Infinity);
  await pass(100_000 * MINUTE, 50_000 * MINUTE);
  expect(events.at(-1)?.type).toBe("authenticated");
  await peer.drop();
  await over;
});
