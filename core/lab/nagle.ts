/**
 * Several sends arrive as one read; and why turning Nagle's algorithm off does
 * not cure it.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { bytesOf, quoted, same } from "./bytes.ts";
import type { Finding } from "./finding.ts";
import { FramedSocket } from "./framed.ts";
import { RECV_BYTES, recvUntil, sendAll } from "./naive.ts";

const MESSAGES = Array.from(
  { length: 10 },
  (_, i) => bytesOf(`message ${i + 1}`),
);
const TOTAL = MESSAGES.reduce((sum, { byteLength }) => sum + byteLength, 0);

/** See the module's description. */
export async function nagle(bench: Bench): Promise<Finding> {
  const { story } = bench;
  story.title("nagle.title");
  story.say("nagle.intro", { sends: MESSAGES.length, bytes: TOTAL });

  // All sends are done before the receiver reads: it was busy for a moment.
  const readLate = async (noDelay: boolean) => {
    const { client, server } = await bench.pair();
    client.setNoDelay(noDelay);
    for (const message of MESSAGES) await sendAll(client, message);
    const reads = await recvUntil(server, TOTAL, RECV_BYTES);
    story.show(noDelay ? "nagle.off" : "nagle.on");
    for (const bytes of reads) {
      story.show("recv", {
        asked: RECV_BYTES,
        got: bytes.byteLength,
        bytes: quoted(bytes),
      });
    }
    return reads.length;
  };
  const readsWithNagle = await readLate(false);
  const readsWithoutNagle = await readLate(true);
  story.say("nagle.why");

  // A receiver that is quick each time: it works, until one day it is not.
  const { client, server } = await bench.pair();
  client.setNoDelay(true);
  let readsWhenQuick = 0;
  for (const message of MESSAGES) {
    await sendAll(client, message);
    const reads = await recvUntil(server, message.byteLength, RECV_BYTES);
    readsWhenQuick += reads.length;
  }
  story.say("nagle.quick", { reads: readsWhenQuick, sends: MESSAGES.length });

  // The cure: the receiver is just as late, and finds every boundary.
  story.say("nagle.cure");
  const both = await bench.pair();
  both.client.setNoDelay(true);
  const sender = new FramedSocket(both.client, RECV_BYTES, RECV_BYTES);
  const receiver = new FramedSocket(both.server, RECV_BYTES, RECV_BYTES);
  for (const message of MESSAGES) await sender.send(message);
  let framedMessages = 0;
  for (const message of MESSAGES) {
    const received = await receiver.receive();
    if (received === null) break;
    story.show("message", {
      got: received.byteLength,
      bytes: quoted(received),
    });
    if (same(received, message)) framedMessages++;
  }

  return {
    observed: readsWithNagle < MESSAGES.length &&
      readsWithoutNagle < MESSAGES.length,
    cured: framedMessages === MESSAGES.length,
    measured: {
      sends: MESSAGES.length,
      sentBytes: TOTAL,
      readsWithNagle,
      readsWithoutNagle,
      readsWhenQuick,
      framedMessages,
    },
  };
}
