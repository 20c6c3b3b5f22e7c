/**
 * UDP: every message has its boundaries, and whatever does not fit is gone.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Bench } from "./bench.ts";
import { bytesOf, pattern, quoted, same } from "./bytes.ts";
import type { Finding } from "./finding.ts";
import { FramedSocket } from "./framed.ts";
import { RECV_BYTES } from "./naive.ts";
import { type LabDatagrams, MAX_DATAGRAM_BYTES } from "./sockets.ts";
import { networkFacts } from "./system.ts";

const COUNT = 10;
const EMPTY = new Uint8Array(0);

/** The burst: datagrams of this many bytes; so many at least, and at most. */
const BURST_BYTES = 1_400;
const SHORTEST_BURST = 1_000;
const LONGEST_BURST = 50_000;

/** What may be given for the datagram to be cut: it is, and it can be sent. */
export const CUT_BYTES: { readonly least: number; readonly most: number } = {
  least: RECV_BYTES + 1,
  most: MAX_DATAGRAM_BYTES,
};

/** See the module's description. */
export async function datagram(bench: Bench): Promise<Finding> {
  const { story } = bench;
  story.title("datagram.title");
  const facts = await networkFacts(bench);
  const sender = await bench.datagrams();
  const receiver = await bench.datagrams();
  const send = (bytes: Uint8Array) => sender.send(bytes, receiver.address);

  // n sends, n receives, though nobody reads before all are sent.
  const messages = Array.from(
    { length: COUNT },
    (_, i) => bytesOf(`message ${i + 1}`),
  );
  for (const message of messages) await send(message);
  let wholeDatagrams = 0;
  for (const message of messages) {
    const received = await receiver.receive(RECV_BYTES);
    if (same(received, message)) wholeDatagrams++;
  }
  story.say("datagram.boundaries", { sends: COUNT, receives: wholeDatagrams });

  // A buffer that is too small: the next receive gets the next datagram.
  const long = pattern(bench.datagramBytes);
  await send(long);
  await send(bytesOf("next"));
  const cut = await receiver.receive(RECV_BYTES);
  const next = await receiver.receive(RECV_BYTES);
  const cutBytes = long.byteLength - cut.byteLength;
  story.say("datagram.cut", { size: long.byteLength });
  story.show("receive", { asked: RECV_BYTES, got: cut.byteLength });
  story.show("receive.bytes", {
    asked: RECV_BYTES,
    got: next.byteLength,
    bytes: quoted(next),
  });
  story.show("datagram.gone", { lost: cutBytes });

  // Nothing is a message too.
  await send(EMPTY);
  const nothing = await receiver.receive(RECV_BYTES);
  story.say("datagram.empty", { got: nothing.byteLength });

  // A burst that nobody reads: the buffer overflows, and nobody is told.
  const room = facts.datagramBufferDefault ?? 0;
  const burst = Math.min(
    Math.max(SHORTEST_BURST, Math.ceil(2 * room / BURST_BYTES)),
    LONGEST_BURST,
  );
  story.say("datagram.burst", { sends: burst, size: BURST_BYTES });
  for (let i = 0; i < burst; i++) await send(numbered(i));
  const survivors = await drain(receiver, send);
  const lost = burst - survivors;
  story.show("datagram.buffer", {
    bytes: story.known(facts.datagramBufferDefault),
  });
  story.show("datagram.lost", { sends: burst, receives: survivors, lost });

  // More than any datagram holds.
  const over = new Uint8Array(MAX_DATAGRAM_BYTES + 1);
  const refusal = await send(over).then(() => null, (error) => error);
  const refused = refusal instanceof LimpetError &&
    refusal.code === "limit_exceeded";
  story.say("datagram.over");
  if (refused) story.show("error", { message: refusal.message });

  // The cure: the same messages through frames, over TCP.
  story.say("datagram.cure");
  const { client, server } = await bench.pair();
  const framedSender = new FramedSocket(client, RECV_BYTES, over.byteLength);
  const framedReceiver = new FramedSocket(server, RECV_BYTES, over.byteLength);
  const all = [...messages, long, EMPTY, over];
  for (let i = 0; i < burst; i++) all.push(numbered(i));
  const sending = (async () => {
    for (const message of all) await framedSender.send(message);
  })();
  let framedMessages = 0;
  const receiving = (async () => {
    for (const message of all) {
      const received = await framedReceiver.receive();
      if (received !== null && same(received, message)) framedMessages++;
    }
  })();
  await Promise.all([sending, receiving]);
  story.show("datagram.framed", {
    sends: all.length,
    receives: framedMessages,
  });

  return {
    observed: wholeDatagrams === COUNT && cutBytes > 0 &&
      same(next, bytesOf("next")) && nothing.byteLength === 0 && lost > 0 &&
      refused,
    cured: framedMessages === all.length,
    measured: {
      sends: COUNT,
      receives: wholeDatagrams,
      longBytes: long.byteLength,
      receivedOfLong: cut.byteLength,
      cutBytes,
      emptyBytes: nothing.byteLength,
      receiveBufferBytes: facts.datagramBufferDefault,
      burstSent: burst,
      burstReceived: survivors,
      burstLost: lost,
      overLimitBytes: over.byteLength,
      overLimitRefused: refused,
      framedSent: all.length,
      framedMessages,
    },
  };
}

function numbered(number: number): Uint8Array {
  const bytes = new Uint8Array(BURST_BYTES);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

/**
 * Receives what is left of the burst and counts it. The end is known by a
 * marker: one is sent after every receive, because the first ones may find the
 * buffer still full and be lost themselves.
 */
async function drain(
  receiver: LabDatagrams,
  send: (bytes: Uint8Array) => Promise<void>,
): Promise<number> {
  const marker = bytesOf("the end");
  for (let survivors = 0;; survivors++) {
    const received = await receiver.receive(BURST_BYTES);
    if (same(received, marker)) return survivors;
    await send(marker);
  }
}
