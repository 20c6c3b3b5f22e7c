/**
 * An empty message: over bare TCP nothing is sent, and both sides wait for the
 * other for ever.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { bytesOf, quoted, textOf } from "./bytes.ts";
import type { Finding } from "./finding.ts";
import { FramedSocket } from "./framed.ts";
import { atMost, LATE, RECV_BYTES, sendAll } from "./naive.ts";
import type { TextKey } from "./texts/en.ts";

/** How long "for ever" is watched, in milliseconds. */
const WAIT_MS = 500;

/** A command that prints nothing, and one that does. */
const SILENT = "true";
const LOUD = "echo awake";

/** See the module's description. */
export async function empty(bench: Bench): Promise<Finding> {
  const { story } = bench;
  story.title("empty.title");

  // The lesson's server, which counts what it gets.
  const listener = await bench.listen();
  let served = 0;
  bench.background((async () => {
    const socket = bench.own(await listener.accept());
    listener.close();
    for (;;) {
      const command = await socket.recv(RECV_BYTES);
      if (command === null) return;
      served++;
      await sendAll(socket, await bench.run(textOf(command)));
    }
  })());
  const client = await bench.dial(listener.address);

  // The user presses Enter: send("") sends nothing, and recv waits.
  story.say("empty.enter", { ms: WAIT_MS });
  const sentBytes = await client.send(new Uint8Array(0));
  const answer = client.recv(RECV_BYTES);
  answer.catch(() => {}); // Whoever waits for it hears of it.
  const afterEmpty = await atMost(WAIT_MS, answer);
  const blockedOnEmpty = afterEmpty === LATE && served === 0;
  story.show("empty.sent", { sent: sentBytes });
  story.show("empty.got", { served });
  story.show(heard(afterEmpty));

  // The same the other way round: a command without output.
  story.say("empty.silent", { command: SILENT, ms: WAIT_MS });
  await sendAll(client, bytesOf(SILENT));
  const afterSilence = await atMost(WAIT_MS, answer);
  // A command that never arrived shows nothing.
  const blockedOnSilence = afterSilence === LATE && served === 1;
  story.show("empty.got", { served });
  story.show(heard(afterSilence));

  // Nothing is broken: the very same recv gets the next thing that is sent.
  await sendAll(client, bytesOf(LOUD));
  const woken = await answer ?? new Uint8Array(0);
  story.say("empty.woken", { command: LOUD });
  story.show("recv", {
    asked: RECV_BYTES,
    got: woken.byteLength,
    bytes: quoted(woken),
  });

  // The cure: a frame of length 0 is ten bytes on the wire, and a message.
  story.say("empty.cure");
  const both = await bench.pair();
  await new FramedSocket(both.client, RECV_BYTES, RECV_BYTES)
    .send(new Uint8Array(0));
  const framed = new FramedSocket(both.server, RECV_BYTES, RECV_BYTES);
  const message = await framed.receive();
  const framedBytes = message === null ? null : message.byteLength;
  if (framedBytes !== null) story.show("message.empty", { got: framedBytes });

  const session = await bench.connect();
  const { stdout, code } = await session.output(SILENT, { shell: true });
  story.show("empty.limpet", {
    command: SILENT,
    got: stdout.byteLength,
    code: story.known(code),
  });

  return {
    observed: sentBytes === 0 && blockedOnEmpty && blockedOnSilence,
    cured: framedBytes === 0 && stdout.byteLength === 0 && code === 0,
    measured: {
      waitMs: WAIT_MS,
      sentBytes,
      blockedOnEmpty,
      blockedOnSilence,
      commandsServed: served,
      framedBytes,
      limpetAnswerBytes: stdout.byteLength,
      limpetExitCode: code,
    },
  };
}

/** What has become of the client's `recv` by now. */
function heard(answer: Uint8Array | null | typeof LATE): TextKey {
  if (answer === LATE) return "empty.blocked";
  return answer === null ? "empty.ended" : "empty.answered";
}
