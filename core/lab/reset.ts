/**
 * A client that goes away in the middle: the connection is reset, and the naive
 * server dies of it, for everybody.
 *
 * @module
 */

import { connect } from "../client.ts";
import { deferred } from "../deferred.ts";
import { asLimpetError } from "../errors.ts";
import { parseAddress } from "../target.ts";
import type { Bench } from "./bench.ts";
import { bytesOf, quoted, textOf } from "./bytes.ts";
import { rudeDuplex } from "./duplex.ts";
import type { Finding } from "./finding.ts";
import { atMost, LATE, RECV_BYTES, sendAll } from "./naive.ts";
import type { LabListener, LabSocket } from "./sockets.ts";

/** How long the naive server may take to die, in milliseconds: busy machines. */
const PATIENCE_MS = 5_000;

/** Its answer is more than the kernel takes before the client reads. */
const COMMAND = "seq 1 2000000";
const SECOND = "echo second";
const ENDLESS = "while :; do echo on and on; done";

/** See the module's description. */
export async function reset(bench: Bench): Promise<Finding> {
  const { story } = bench;
  story.title("reset.title");

  // The lesson's server: one client after another.
  const serve = async (socket: LabSocket) => {
    for (;;) {
      const command = await socket.recv(RECV_BYTES);
      if (command === null) return;
      await sendAll(socket, await bench.run(textOf(command)));
    }
  };
  const serveAll = async (listener: LabListener) => {
    for (;;) await serve(bench.own(await listener.accept()));
  };

  // A client that takes ten bytes of its answer and goes away, while the server
  // is still sending: the kernel, left with bytes that nobody will read, sends
  // RST.
  const goAway = async (listener: LabListener) => {
    const socket = await bench.dial(listener.address);
    await sendAll(socket, bytesOf(COMMAND));
    const bytes = await socket.recv(10) ?? new Uint8Array(0);
    socket.close();
    return bytes;
  };
  const askAfter = async (listener: LabListener) => {
    const socket = await bench.dial(listener.address);
    await sendAll(socket, bytesOf(SECOND));
    return await socket.recv(RECV_BYTES) ?? new Uint8Array(0);
  };

  story.say("reset.intro", { command: COMMAND });
  const naive = await bench.listen();
  // With its process the operating system closes what it listened on.
  const dying = serveAll(naive).finally(() => naive.close());
  const death = dying.then(() => "", describe);
  const taken = await goAway(naive);
  story.show("recv", {
    asked: 10,
    got: taken.byteLength,
    bytes: quoted(taken),
  });
  const last = await atMost(PATIENCE_MS, death);
  const error = last === LATE ? "" : last;
  if (error !== "") story.show("reset.died", { error });
  const unserved = await askAfter(naive).then(
    ({ byteLength }) => byteLength > 0 ? "" : "the end of the connection",
    describe,
  );
  if (unserved !== "") story.show("reset.unserved", { error: unserved });
  naive.close();

  // With a try around each client the naive server outlives it.
  const careful = await bench.listen();
  bench.background((async () => {
    for (;;) {
      const socket = bench.own(await careful.accept());
      try {
        await serve(socket);
      } catch {
        // That client is gone. The next one, please.
      }
    }
  })());
  await goAway(careful);
  const answer = await askAfter(careful).catch(describe);
  const servedWhenCaught = typeof answer !== "string" &&
    textOf(answer) === "second\n";
  story.say(servedWhenCaught ? "reset.caught" : "reset.uncaught");
  if (typeof answer === "string") story.show("error", { message: answer });
  else {
    story.show("recv", {
      asked: RECV_BYTES,
      got: answer.byteLength,
      bytes: quoted(answer),
    });
  }

  // The cure: Limpet's server, one client at work, another that resets.
  story.say("reset.cure");
  const lost = deferred<void>();
  const ended = deferred<string | null>();
  const own = await bench.serve((event) => {
    if (event.type === "disconnected") lost.resolve();
    if (event.type === "command_ended") ended.resolve(event.status.signal);
  });
  const bystander = await bench.connect(own);
  const cat = bystander.spawn("cat", { stdin: "piped" });
  const writer = cat.stdin.getWriter();
  await writer.write(bytesOf("before "));

  const target = parseAddress(own.server.address);
  if (target.kind !== "tcp") throw new Error("It listens on TCP");
  const socket = rudeDuplex(await bench.dial(target));
  const rude = bench.own(await connect(socket, { token: own.token }));
  const endless = rude.spawn(ENDLESS, { shell: true });
  const reader = endless.stdout.getReader();
  await reader.read();
  readOn(reader);
  await socket.hangUp();
  await lost.promise;
  const signal = await ended.promise;
  story.show("reset.ended", { signal: story.known(signal) });

  await writer.write(bytesOf("and after"));
  await writer.close();
  const echoed = await new Response(cat.stdout).text();
  const wentOn = echoed === "before and after";
  story.show(wentOn ? "reset.bystander" : "answer", {
    got: bytesOf(echoed).byteLength,
    bytes: quoted(bytesOf(echoed)),
  });
  const next = await bench.connect(own);
  const { stdout } = await next.output(SECOND, { shell: true });
  const isServed = textOf(stdout) === "second\n";
  story.show(isServed ? "reset.next" : "answer", {
    got: stdout.byteLength,
    bytes: quoted(stdout),
  });

  return {
    observed: error !== "" && unserved !== "" && servedWhenCaught,
    cured: wentOn && isServed,
    measured: {
      naiveServerDiedOf: error,
      nextClientGot: unserved,
      servedWhenCaught,
      limpetCommandEndedBy: signal,
      bystanderBytes: echoed.length,
      nextAnswerBytes: stdout.byteLength,
    },
  };
}

/** Takes whatever comes, so that the server never runs out of window. */
async function readOn(reader: ReadableStreamDefaultReader): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // The session was cut, as it should be.
  }
}

/** What a program without a `try` would print as its last words. */
function describe(error: unknown): string {
  return asLimpetError(error, "connection_lost", "Connection").message;
}
