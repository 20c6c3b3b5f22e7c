/**
 * One big send arrives in many reads, and may not even be sent whole.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import type { Bench } from "./bench.ts";
import { pattern, same } from "./bytes.ts";
import type { Finding } from "./finding.ts";
import { FramedSocket } from "./framed.ts";
import { RECV_BYTES, recvUntil, sendAll } from "./naive.ts";
import { grouped } from "./story.ts";
import { networkFacts } from "./system.ts";

/** A buffer that no single read fills, in bytes: the sizes are the kernel's. */
const ROOMY_BYTES = 1_048_576;

/** Bytes of the message: at least, and at most. */
const SMALLEST = 16_777_216;
const LARGEST = 67_108_864;

/** See the module's description. */
export async function split(bench: Bench): Promise<Finding> {
  const { story } = bench;
  story.title("split.title");
  const facts = await networkFacts(bench);
  // More than the kernel has room for on both sides of the connection.
  const room = (facts.sendBufferMax ?? 0) + (facts.receiveBufferDefault ?? 0);
  const size = Math.min(Math.max(SMALLEST, 2 * room), LARGEST);
  const message = pattern(size);
  story.say("split.intro", { size });
  story.show("split.mtu", { bytes: story.known(facts.loopbackMtu) });
  story.show("split.sendBuffer", { bytes: story.known(facts.sendBufferMax) });
  story.show("split.receiveBuffer", {
    bytes: story.known(facts.receiveBufferDefault),
  });

  // send: what fits. Nobody reads yet.
  const { client, server } = await bench.pair();
  const firstSend = await client.send(message);
  story.show("split.send", { size, took: firstSend });
  const partial = firstSend < size;
  if (partial) story.say("split.partial", { left: size - firstSend });

  // The lesson's client takes this for the whole.
  const first = await server.recv(RECV_BYTES) ?? new Uint8Array(0);
  story.show("split.first", { asked: RECV_BYTES, got: first.byteLength });

  // sendall: send, until nothing is left. The receiver reads meanwhile.
  const [sends, reads] = await Promise.all([
    sendAll(client, message.subarray(firstSend)),
    recvUntil(server, size - first.byteLength, ROOMY_BYTES),
  ]);
  const sizes = reads.map(({ byteLength }) => byteLength);
  const smallest = Math.min(...sizes);
  const largest = Math.max(...sizes);
  const arrived = same(concat([first, ...reads]), message);
  story.show("split.sends", { sends: sends + 1 });
  story.show("split.reads", {
    asked: ROOMY_BYTES,
    reads: reads.length,
    smallest,
    largest,
    sizes: sizes.slice(0, 6).map(grouped).join(" "),
  });
  story.say("split.why");

  // The cure: one message, whole, however it was cut on the way.
  story.say("split.cure");
  const both = await bench.pair();
  const sender = new FramedSocket(both.client, ROOMY_BYTES, size);
  const receiver = new FramedSocket(both.server, ROOMY_BYTES, size);
  const [framedSends, received] = await Promise.all([
    sender.send(message),
    receiver.receive(),
  ]);
  const framedBytes = received?.byteLength ?? 0;
  story.show("split.message", { got: framedBytes, sends: framedSends });

  return {
    observed: partial && reads.length > 1 && first.byteLength < size,
    cured: arrived && received !== null && same(received, message),
    measured: {
      messageBytes: size,
      ...facts,
      firstSendBytes: firstSend,
      sends: sends + 1,
      firstReadBytes: first.byteLength,
      reads: reads.length,
      smallestRead: smallest,
      largestRead: largest,
      framedMessages: received === null ? 0 : 1,
      framedBytes,
      framedSends,
    },
  };
}
