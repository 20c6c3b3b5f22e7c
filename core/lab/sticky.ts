/**
 * Sticky packets: the rest of one answer is taken for the answer to the next
 * command.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import type { Bench } from "./bench.ts";
import { bytesOf, quoted, same, startsWith, textOf } from "./bytes.ts";
import type { Finding } from "./finding.ts";
import { RECV_BYTES, sendAll } from "./naive.ts";

const FIRST = "seq 1 400";
const SECOND = "echo second";

/** See the module's description. */
export async function sticky(bench: Bench): Promise<Finding> {
  const { story } = bench;
  story.title("sticky.title");
  story.say("sticky.intro", { first: FIRST, second: SECOND });

  // The lesson's server: runs what one recv gives it, sends back what comes.
  const listener = await bench.listen();
  const answers: Uint8Array[] = [];
  bench.background((async () => {
    const socket = bench.own(await listener.accept());
    for (;;) {
      const command = await socket.recv(RECV_BYTES);
      if (command === null) return;
      const answer = await bench.run(textOf(command));
      answers.push(answer);
      await sendAll(socket, answer);
    }
  })());

  // The lesson's client: for each command one send, and one recv.
  const client = await bench.dial(listener.address);
  const ask = async (command: string) => {
    await sendAll(client, bytesOf(command));
    return await client.recv(RECV_BYTES) ?? new Uint8Array(0);
  };
  const first = await ask(FIRST);
  const left = answers[0].subarray(first.byteLength);
  story.show("prompt", { command: FIRST });
  story.show("recv", {
    asked: RECV_BYTES,
    got: first.byteLength,
    bytes: quoted(first),
  });
  story.show("sticky.left", { left: left.byteLength, bytes: quoted(left) });

  const second = await ask(SECOND);
  story.show("prompt", { command: SECOND });
  story.show("recv", {
    asked: RECV_BYTES,
    got: second.byteLength,
    bytes: quoted(second),
  });
  // It may be cut once more.
  const stuck = startsWith(second, left) || startsWith(left, second);
  if (stuck) story.say("sticky.stuck", { second: SECOND, first: FIRST });

  // Whatever is still to come: no byte is lost, each is only in a wrong place.
  const late: Uint8Array[] = [];
  const missing = () =>
    answers.length < 2 ||
    concat([first, second, ...late]).byteLength < concat(answers).byteLength;
  while (missing()) {
    const bytes = await client.recv(RECV_BYTES);
    if (bytes === null) break;
    late.push(bytes);
  }
  const lateBytes = concat(late);
  if (lateBytes.byteLength > 0) {
    story.show("sticky.late", { bytes: quoted(lateBytes) });
  }

  // The cure: the same two commands, each answer in frames of its own command.
  story.say("sticky.cure");
  const session = await bench.connect();
  const framed: Uint8Array[] = [];
  for (const line of [FIRST, SECOND]) {
    const { stdout } = await session.output(line, { shell: true });
    framed.push(stdout);
    story.show("prompt", { command: line });
    story.show("answer", { got: stdout.byteLength, bytes: quoted(stdout) });
  }

  return {
    observed: left.byteLength > 0 && stuck,
    cured: same(framed[0], answers[0]) && same(framed[1], answers[1]),
    measured: {
      recvBytes: RECV_BYTES,
      firstAnswerBytes: answers[0].byteLength,
      firstReadBytes: first.byteLength,
      leftInBuffer: left.byteLength,
      secondReadBytes: second.byteLength,
      secondReadStartsWithRestOfFirst: stuck,
      secondAnswerBytes: answers[1].byteLength,
      lateBytes: lateBytes.byteLength,
      framedFirstBytes: framed[0].byteLength,
      framedSecondBytes: framed[1].byteLength,
    },
  };
}
