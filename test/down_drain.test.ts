import { expect, test } from "vitest";
import { tokenAuthenticator } from "../core/auth/authenticator.ts";
import { decodeControl } from "../core/frame/control.ts";
import { FrameType } from "../core/frame/frame.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { isAlive } from "./support/processes.ts";
import { jsonFrame, proofFrame, RawPeer } from "./support/raw_peer.ts";
import { serving, warmUp } from "./support/serving.ts";

const DAY_MS = 86_400_000;
const { CLOSE, EXIT, GOAWAY, OPEN, REFUSED, STARTED } = FrameType;

useLeakCheck(warmUp);

const bytes = (text: string) => new TextEncoder().encode(text);
const open = (channel: number, ...argv: string[]) =>
  jsonFrame(OPEN, { kind: "exec", argv, stdin: true }, channel);
const code = (payload: Uint8Array, name: string) =>
  decodeControl(payload, name).text("code");

test("commands that run go on with all their streams, and nothing new begins", async () => {
  await using served = await serving();
  const session = await served.connect();
  const child = session.spawn("sh", {
    args: ["-c", "echo on; echo on >&2; cat; exit 7"],
    stdin: "piped",
  });
  const other = session.spawn("sleep", { args: ["1000"] });
  const stdout = child.stdout.getReader();
  await stdout.read();
  await other.pid;
  const draining = served.server.drain(DAY_MS);
  const { reason, drainMs } = await session.goingAway;
  expect(drainMs).toBe(DAY_MS);
  expect(reason).toMatchObject({ code: "shutting_down" });
  expect(reason.message).toMatch(/takes no more commands: The server is going/);
  expect(() => session.spawn("true")).toThrow(reason);
  await expect(session.output("true")).rejects.toBe(reason);
  expect(served.server.commandCount).toBe(2);
  expect(session.over).toBe(false);

  other.kill("SIGUSR1");
  expect(await other.status).toMatchObject({ signal: "SIGUSR1", reason: null });
  const stderr = child.stderr.getReader();
  expect((await stderr.read()).value).toEqual(bytes("on\n"));
  const writer = child.stdin.getWriter();
  await writer.write(bytes("through and through"));
  await writer.close();
  expect((await stdout.read()).value).toEqual(bytes("through and through"));
  expect((await stdout.read()).done).toBe(true);
  expect((await stderr.read()).done).toBe(true);
  // With the last of them the session ends, for nobody but the server to wait.
  expect(await child.status).toMatchObject({ code: 7, reason: null });
  expect(await session.closed).toBe(reason);
  await draining;
  expect(served.disconnected()).toMatchObject([{ code: "closed" }]);
  expect(served.server.commandCount).toBe(0);
});

test("output that was not read yet is all there after the session", async () => {
  await using served = await serving();
  const session = await served.connect();
  const child = session.spawn("seq", { args: ["1000"], stderr: "null" });
  expect(await child.status).toMatchObject({ code: 0 });
  await served.server.drain(DAY_MS);
  expect(session.over).toBe(true);
  const text = await new Response(child.stdout).text();
  expect(text.trimEnd().split("\n").length).toBe(1_000);
});

test("a session without commands does not keep the server waiting", async () => {
  await using served = await serving();
  const session = await served.connect();
  await served.server.close({ drainMs: DAY_MS });
  expect(await session.closed).toMatchObject({ code: "shutting_down" });
  await expect(served.connect()).rejects.toMatchObject({
    code: "connection_failed",
  });
});

test("an OPEN that crosses GOAWAY is refused, and its neighbour goes on", async () => {
  await using served = await serving();
  const peer = new RawPeer(await served.dial());
  await peer.authenticate({}, open(1, "cat"));
  await peer.expect(STARTED);
  const draining = served.server.drain(DAY_MS);
  await peer.write(open(3, "touch", "/nonexistent/never"));
  const goAway = await peer.expect(GOAWAY);
  expect(JSON.parse(new TextDecoder().decode(goAway.payload))).toEqual({
    code: "shutting_down",
    message: "The server is going down; what runs has up to 86400 s",
    drainMs: DAY_MS,
  });
  const refused = await peer.expect(REFUSED);
  expect(refused.channel).toBe(3);
  expect(code(refused.payload, "REFUSED")).toBe("shutting_down");
  expect(served.spawned.length).toBe(1);
  await peer.write(jsonFrame(FrameType.END, { bytes: 0 }, 1, 0));
  // This client does not leave by itself: it is not waited for.
  await draining;
  await served.server.close();
  const rest = await peer.rest();
  expect(rest.map(({ type }) => type)).toContain(EXIT);
  expect(rest.at(-1)?.type).toBe(CLOSE);
  expect(code(rest.at(-1)!.payload, "CLOSE")).toBe("shutting_down");
});

test("whoever is in the middle of the handshake gets his answer too", async () => {
  await using served = await serving();
  await using busy = await served.connect();
  const child = busy.spawn("cat", { stdin: "piped" });
  await child.pid;
  const peer = new RawPeer(await served.dial());
  const { clientProof } = await peer.greetServer();
  const draining = served.server.drain(DAY_MS);
  await busy.goingAway;
  await peer.write(proofFrame(clientProof), open(1, "true"));
  await peer.expect(FrameType.PROOF);
  await peer.expect(GOAWAY);
  const refused = await peer.expect(REFUSED);
  expect(code(refused.payload, "REFUSED")).toBe("shutting_down");
  expect(served.spawned.length).toBe(1);
  await peer.drop();
  await child.stdin.close();
  await draining;
});

test("what runs longer than the drain is ended", async () => {
  await using served = await serving();
  await using session = await served.connect();
  const child = session.spawn("sleep", { args: ["1000"] });
  const pid = await child.pid;
  await served.server.close({ drainMs: 50 });
  expect(await child.status).toMatchObject({
    signal: "SIGTERM",
    reason: "shutting_down",
  });
  expect(isAlive(pid)).toBe(false);
});

test("close() ends a drain, and a shorter grace counts at once", async () => {
  await using served = await serving({ shutdownGraceMs: DAY_MS });
  await using session = await served.connect();
  const child = session.spawn(
    "trap 'echo asked' TERM; echo ready; while :; do sleep 1000 & wait; done",
    { shell: true, killAfterMs: DAY_MS },
  );
  const reader = child.stdout.getReader();
  await reader.read();
  const first = served.server.close({ drainMs: DAY_MS });
  await session.goingAway;
  expect(isAlive(await child.pid)).toBe(true);
  const second = served.server.close();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("asked\n");
  await Promise.all([served.server.close(0), first, second]);
  expect(await child.status).toMatchObject({ signal: "SIGKILL" });
});

test("a drain is a time that a timer can hold", async () => {
  await using served = await serving();
  for (const drainMs of [NaN, -1, 1.5, 2 ** 31]) {
    await expect(served.server.drain(drainMs)).rejects.toMatchObject({
      code: "invalid_argument",
    });
  }
  await using session = await served.connect();
  await session.output("true");
});

test("a client does not say GOAWAY", async () => {
  await using served = await serving();
  const peer = new RawPeer(await served.dial());
  const body = { code: "shutting_down", message: "", drainMs: 1 };
  await peer.authenticate({}, jsonFrame(GOAWAY, body));
  expect(await peer.closeCode()).toBe("protocol_error");
});

test("another authenticator is for those who come after it", async () => {
  await using served = await serving();
  await using before = await served.connect();
  const token = "another-token-than-before";
  served.server.replaceAuthenticator(await tokenAuthenticator(token));
  await expect(served.connect()).rejects.toMatchObject({
    code: "unauthenticated",
  });
  await using after = await served.connect({ token });
  for (const session of [before, after]) await session.output("true");
});
