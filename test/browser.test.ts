import { expect, test } from "vitest";
import type { Duplex } from "../core/ports.ts";
import type { RawServerEvent } from "../core/raw/options.ts";
import { RawServer } from "../core/raw/server.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import { selfSigned, TRUST_ALL } from "./support/certificates.ts";
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
async function turnedAway(
  served: Serving,
  bytes: Uint8Array,
  dial: () => Promise<Duplex> = served.dial,
): Promise<string> {
  const before = served.disconnected().length;
  const { readable, writable } = await dial();
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

test("nor does TLS make it anything else", async () => {
  await using served = await serving();
  const listener = await adapter.listen(
    { kind: "tls", hostname: "127.0.0.1", port: 0 },
    { identity: await selfSigned() },
  );
  const listening = served.server.listen(listener);
  const target = parseAddress(listener.address);
  const dial = () => adapter.dial(target, undefined, TRUST_ALL);
  const plain = parseAddress(listener.address.replace("tls:", "tcp:"));
  for (const { bytes, sent } of ways) {
    // A page of whoever trusts the certificate.
    expect(await turnedAway(served, bytes, dial)).toContain(`it sent ${sent}`);
    await turnedAway(served, bytes.subarray(0, 1), dial);
    // The same bytes as they were, where TLS is due: a hello is answered by TLS.
    const before = served.disconnected().length;
    const { readable, writable } = await adapter.dial(plain);
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    writer.write(bytes).catch(() => {});
    const { value } = await reader.read().catch(() => ({ value: undefined }));
    // A record of TLS (a handshake, an alert), or the end.
    expect([0x15, 0x16, undefined]).toContain(value?.[0]);
    await Promise.allSettled([reader.cancel(), writer.abort()]);
    const ends = await served.untilDisconnected(before + 1);
    expect(ends.at(-1)).toMatchObject({
      authenticated: false,
      ...(sent === "an HTTP request"
        ? { code: "protocol_error", message: "Peer does not speak TLS" }
        : {}),
    });
  }
  expect(served.spawned).toEqual([]);
  await served.server.close();
  await listening;
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
