import { expect, test } from "vitest";
import type { RawServerEvent } from "../core/raw/options.ts";
import { RawServer } from "../core/raw/server.ts";
import { RawPlayer } from "./fuzz/raw_player.ts";
import { fromHex } from "./support/frames.ts";
import { pair } from "./support/pair.ts";
import { type Serving, serving } from "./support/serving.ts";
import { browserRecordings } from "./support/vectors.ts";

const ways = browserRecordings.recordings.map(({ way, hex }) => ({
  way,
  bytes: fromHex(hex),
  sent: /TLS/.test(way) ? "a TLS handshake" : "an HTTP request",
}));

test("the recordings are what a page can do", () => {
  expect(ways.map(({ way }) => way)).toEqual([
    "fetch GET",
    "fetch POST",
    "fetch preflight",
    "fetch TLS",
    "WebSocket",
    "WebSocket TLS",
    "image",
    "form",
    "beacon",
  ]);
});

/** Sends these bytes; nothing comes back, and nothing is run. */
async function turnedAway(served: Serving, bytes: Uint8Array): Promise<string> {
  const before = served.disconnected().length;
  const { readable, writable } = await served.dial();
  const reader = readable.getReader();
  const writer = writable.getWriter();
  // The server may hang up before it has taken them all, which is a reset.
  writer.write(bytes).catch(() => {});
  const said = await reader.read().catch(() => ({ value: undefined }));
  expect(said.value).toBe(undefined);
  const ends = await served.untilDisconnected(before + 1);
  await Promise.allSettled([reader.cancel(), writer.abort()]);
  expect(ends.at(-1)).toMatchObject({
    code: "protocol_error",
    authenticated: false,
  });
  expect(served.spawned).toEqual([]);
  return ends.at(-1)!.message;
}

test("a server drops what a browser sends, at its first byte", async () => {
  await using served = await serving();
  for (const { bytes, sent } of ways) {
    expect(await turnedAway(served, bytes)).toContain(`it sent ${sent}`);
    await turnedAway(served, bytes.subarray(0, 1));
  }
});

test.each(ways)(
  "a raw server runs nothing of it, wherever it is cut: $way",
  async ({ bytes, sent }) => {
    const events: RawServerEvent[] = [];
    await using server = new RawServer({
      spawner: ({ line }) => Promise.reject(new Error(`It ran ${line}`)),
      environment: () => ({}),
      // The rest comes as soon as it can; how soon is up to this machine.
      doubtMs: 60_000,
      onEvent: (event) => void events.push(event),
    });
    for (let cut = 0; cut < 40; cut++) {
      events.length = 0;
      const [clientEnd, serverEnd] = pair();
      const over = server.accept(serverEnd);
      const player = new RawPlayer(clientEnd);
      await player.play({
        seed: 0,
        chunk: 0,
        items: [
          { do: "bytes", bytes: bytes.subarray(0, cut) },
          { do: "settle" },
          { do: "bytes", bytes: bytes.subarray(cut) },
          { do: "end" },
        ],
      });
      await over;
      expect(events.map(({ type }) => type), `cut at ${cut}`).toEqual([
        "connected",
        "turned_away",
        "disconnected",
      ]);
      expect(events[1]).toMatchObject({ sent });
      await player.drop();
    }
  },
);
