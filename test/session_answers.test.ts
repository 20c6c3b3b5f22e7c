import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { LimpetError } from "../core/errors.ts";
import { decodeControl } from "../core/frame/control.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import type { ExitStatus, ProcessHandle } from "../core/ports.ts";
import { receive, textOf } from "./support/bytes.ts";
import { pair } from "./support/pair.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { type Serving, serving, TOKEN } from "./support/serving.ts";

const { ABORT, CLOSE, END, EXIT, OPEN, REFUSED, SIGNAL, STARTED } = FrameType;

const quiet = { stdout: false, stderr: false };
const exec = (channel: number, body: object): Frame =>
  jsonFrame(OPEN, { kind: "exec", ...quiet, ...body }, channel);
const json = ({ payload }: Frame) =>
  JSON.parse(new TextDecoder().decode(payload));

/** A client by hand, past its proof. */
async function rawClient(
  served: Serving,
  limits: { maxControlBytes?: number; maxFrameBytes?: number } = {},
): Promise<RawPeer> {
  const peer = new RawPeer(await served.dial());
  await peer.authenticate(limits);
  return peer;
}

/** Ends a session whose commands have ended. */
async function leave(peer: RawPeer): Promise<void> {
  await peer.write(jsonFrame(CLOSE, { code: "closed", message: "Bye" }));
  await peer.end();
  await peer.rest();
}

/** A session with a server by hand, which has taken one command. */
async function rawServer(...answers: Frame[]) {
  const [clientEnd, serverEnd] = pair();
  const peer = new RawPeer(serverEnd);
  const admitted = peer.admit();
  const session = await connect(clientEnd, { token: TOKEN });
  await admitted;
  const child = session.spawn("true");
  await peer.expect(OPEN);
  await peer.write(...answers);
  return { peer, session, child };
}

const started = jsonFrame(STARTED, { pid: 7 }, 1);
const fate = (promise: Promise<unknown>): Promise<LimpetError> =>
  promise.then(
    (value) => Promise.reject(new Error(`It came to ${value}`)),
    (error) => error,
  );

test("a client whose HELLO leaves no room for parts has its commands answered", async () => {
  await using served = await serving();
  const peer = await rawClient(served, { maxControlBytes: 10 });
  await peer.write(exec(1, { argv: ["sleep", "1000"] }));
  const { pid } = json(await peer.expect(STARTED));
  expect(isAlive(pid)).toBe(true);
  await peer.write(
    jsonFrame(SIGNAL, { signal: "SIGTERM", terminate: true }, 1),
  );
  expect(json(await peer.expect(EXIT))).toEqual({
    code: null,
    signal: "SIGTERM",
    reason: "cancelled",
  });
  await untilGone([pid]);
  await peer.write(exec(3, { argv: ["true"] }));
  expect((await peer.expect(STARTED)).channel).toBe(3);
  await leave(peer);
});

test("signals before the start do not pile up: each kind counts once", async () => {
  const running = deferred<ProcessHandle>();
  const sent: string[] = [];
  const exit = deferred<ExitStatus>();
  await using served = await serving({}, () => running.promise);
  const peer = await rawClient(served);
  await peer.write(exec(1, { argv: ["slow"] }));
  for (let i = 0; i < 1_000; i++) {
    await peer.write(
      jsonFrame(SIGNAL, { signal: "SIGUSR1" }, 1),
      jsonFrame(SIGNAL, { signal: "SIGWINCH" }, 1),
      jsonFrame(
        SIGNAL,
        { signal: "SIGINT", terminate: true, killAfterMs: 3_600_000 - i },
        1,
      ),
    );
  }
  // Behind them, so that they have all come.
  await peer.write(exec(3, { argv: [] }));
  expect((await peer.expect(REFUSED)).channel).toBe(3);
  running.resolve({
    pid: 1,
    stdin: null,
    stdout: null,
    stderr: null,
    status: exit.promise,
    kill: (name) => sent.push(name) > 0,
    groupAlive: () => false,
  });
  await peer.expect(STARTED);
  exit.resolve({ code: 0, signal: null });
  await peer.expect(EXIT);
  expect(sent).toEqual(["SIGUSR1", "SIGWINCH", "SIGINT"]);
  await leave(peer);
});

test("a name of any length is refused in a message that fits any peer", async () => {
  await using served = await serving();
  const peer = await rawClient(served, {
    maxControlBytes: 10,
    maxFrameBytes: 1_024,
  });
  const long = [
    "x".repeat(3_000),
    "\u{1f600}".repeat(3_000),
    "\u0001\u00e9"
      .repeat(3_000),
  ];
  let channel = 1;
  for (const name of long) {
    for (
      const [request, codes] of [
        [{ argv: [name] }, ["not_found", "spawn_failed"]],
        [{ argv: ["true"], cwd: `/${name}` }, [
          "cwd_not_found",
          "not_found",
          "spawn_failed",
        ]],
        [{ argv: ["true"], env: { [`${name}=`]: "" } }, ["invalid_argument"]],
      ] as const
    ) {
      await peer.write(exec(channel, request));
      const refused = await peer.expect(REFUSED);
      expect(refused.channel).toBe(channel);
      const { code, message } = json(refused);
      expect(codes).toContain(code);
      expect(message.length).toBeGreaterThan(10);
      expect(message).not.toMatch(/\p{Surrogate}/u);
      channel += 2;
    }
  }
  await peer.write(exec(channel, { argv: ["true"] }));
  await peer.expect(STARTED);
  await leave(peer);
});

test.each([
  ["limit_exceeded", "limit_exceeded"],
  ["protocol_error", "protocol_error"],
  ["timed_out", "timed_out"],
  ["unauthenticated", "unauthenticated"],
  ["made_up", "protocol_error"],
  ["not_found", "protocol_error"],
  ["command_failed", "protocol_error"],
])("CLOSE %s after STARTED leaves the outcome unknown", async (code, ends) => {
  const { session, child } = await rawServer(
    started,
    jsonFrame(CLOSE, { code, message: "Enough" }),
  );
  expect(await fate(child.status)).toMatchObject({
    code: "connection_lost",
    exitCode: null,
    signal: null,
    complete: false,
  });
  // The streams tell what ended the session.
  expect((await receive(child.stdout)).error).toMatchObject({ code: ends });
  expect((await session.closed).code).toBe(ends);
});

test("a server that breaks the rules after STARTED leaves the outcome unknown", async () => {
  const { peer, session, child } = await rawServer(started, started);
  expect(await fate(child.status)).toMatchObject({ code: "connection_lost" });
  expect(await peer.closeCode()).toBe("protocol_error");
  expect((await session.closed).code).toBe("protocol_error");
});

test("REFUSED is believed where it says why a command did not start, no further", async () => {
  for (
    const [code, read] of [
      ["not_found", "not_found"],
      ["connection_lost", "refused"],
      ["unauthenticated", "refused"],
      ["made_up", "refused"],
    ]
  ) {
    const { peer, session, child } = await rawServer(
      jsonFrame(REFUSED, { code, message: "No" }, 1),
    );
    expect((await fate(child.status)).code).toBe(read);
    expect(session.over).toBe(false);
    await Promise.all([session.close(), peer.rest()]);
  }
});

/** Clears a terminal, sets its title, turns the text around. */
const EVIL = "\x1b[2J\x1b]0;title\x07\x9b2J\u202egniht\r\x7f";
// deno-lint-ignore no-control-regex -- control characters are what it is about
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

function expectHarmless(error: unknown): void {
  expect(error).toBeInstanceOf(LimpetError);
  expect((error as LimpetError).message).not.toMatch(CONTROLS);
}

test("no error has escape sequences of the peer's in its message", async () => {
  const refused = await rawServer(
    jsonFrame(REFUSED, { code: "refused", message: EVIL }, 1),
  );
  const error = await fate(refused.child.status);
  expectHarmless(error);
  expect(error.message).toContain("\\x1b[2J");

  const closed = await rawServer(
    started,
    jsonFrame(CLOSE, { code: EVIL, message: EVIL }),
  );
  expectHarmless(await fate(closed.child.status));
  expectHarmless(await closed.session.closed);

  const aborted = await rawServer(
    started,
    jsonFrame(ABORT, { code: EVIL, message: EVIL }, 1, 1),
  );
  const { error: broken } = await receive(aborted.child.stdout);
  expectHarmless(broken);
  expect((broken as LimpetError).message).toContain("\\x1b[2J");

  const wrong = await rawServer(jsonFrame(STARTED, { pid: EVIL }, 1));
  expectHarmless(await wrong.session.closed);
});

test("nor does what EXIT says get to a terminal as it is", async () => {
  const { child } = await rawServer(
    started,
    jsonFrame(EXIT, { code: null, signal: "\x1b[2J", reason: EVIL }, 1),
  );
  const { signal, reason } = await child.status;
  expect(signal).toBe("\\x1b[2J");
  expect(reason).not.toMatch(CONTROLS);
});

test("null where true or false is expected is no request", async () => {
  await using served = await serving();
  const peer = await rawClient(served);
  let channel = 1;
  for (const field of ["stdin", "stdout", "stderr", "merge"]) {
    await peer.write(exec(channel, { argv: ["true"], [field]: null }));
    const { code, message } = json(await peer.expect(REFUSED));
    expect(code).toBe("invalid_argument");
    expect(message).toContain(`"${field}"`);
    channel += 2;
  }
  expect(served.spawned).toEqual([]);
  await peer.write(exec(channel, { argv: ["sleep", "1000"] }));
  await peer.expect(STARTED);
  await peer.write(
    jsonFrame(SIGNAL, { signal: "SIGTERM", terminate: null }, channel),
  );
  const last = (await peer.rest()).at(-1);
  expect(last?.type).toBe(CLOSE);
  expect(decodeControl(last!.payload, "CLOSE").text("code")).toBe(
    "protocol_error",
  );
});

test("nor an END", async () => {
  const { peer, child } = await rawServer(
    started,
    jsonFrame(END, { bytes: 0, heldOpen: null }, 1, 1),
  );
  const reading = textOf(child.stdout);
  await expect(reading).rejects.toMatchObject({ code: "protocol_error" });
  expect(await peer.closeCode()).toBe("protocol_error");
});
