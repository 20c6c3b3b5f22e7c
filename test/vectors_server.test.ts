import { describe, expect, test } from "vitest";
import { type ErrorCode, LimpetError } from "../core/errors.ts";
import { decodeControl } from "../core/frame/control.ts";
import { encodeFrame, type Frame, FrameType } from "../core/frame/frame.ts";
import { CLIENT_PREFACE } from "../core/frame/preface.ts";
import type { Spawner } from "../core/ports.ts";
import { Server } from "../core/server.ts";
import { splitControl } from "../core/session/parts.ts";
import { clientMessage, transcriptOf } from "../core/auth/proof.ts";
import { TokenKey } from "../core/auth/token.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { pair } from "./support/faults.ts";
import { fromHex, toHex } from "./support/frames.ts";
import { frameOf } from "./support/played_server.ts";
import { proofFrame, RawPeer } from "./support/raw_peer.ts";
import { PLATFORM } from "./support/serving.ts";
import {
  type Message,
  type SessionCase,
  sessionVectors,
} from "./support/vectors.ts";

/** Those in which the server does what no server of ours would do. */
const FOREIGN = new Set([
  "refused: unheard_of",
  "refused: limit_exceeded",
  "bytes lost",
  "cut before EXIT",
  "cut before END",
  "server goes away",
  "going down",
  "an OPEN that crosses GOAWAY",
  "version mismatch",
  "not a server",
  // Several commands, or one whose order with the client matters.
  "two commands",
  "refused and on",
]);

const saidBy = (vector: SessionCase, from: "client" | "server"): Message[] =>
  vector.steps.filter((step) => step.from === from)
    .flatMap(({ messages }) => messages);

/** What was said of a command in the end, wherever its DATA was cut. */
function summary(messages: readonly Message[]) {
  const one = (name: string) =>
    messages.find((message) => message.name === name);
  const stream = (number: number) => {
    const of = messages.filter(({ stream, name }) =>
      stream === number && ["DATA", "END", "ABORT"].includes(name)
    );
    const ends = of.filter(({ name }) => name !== "DATA");
    return {
      hex: of.map(({ payload }) => payload ?? "").join(""),
      ends: ends.map(({ name, json }) => [name, json?.bytes, json?.heldOpen]),
      last: of.at(-1)?.name,
    };
  };
  return {
    started: withoutJobId(one("STARTED")?.json),
    refused: one("REFUSED")?.json?.code,
    exit: one("EXIT")?.json,
    closed: one("CLOSE")?.json?.code,
    stdout: stream(1),
    stderr: stream(2),
  };
}

function messageOf({ type, stream, channel, payload }: Frame): Message {
  const name = Object.entries(FrameType).find(([, t]) => t === type)?.[0] ?? "";
  const common = { type, name, stream, channel };
  if (name === "DATA") return { ...common, payload: toHex(payload) };
  if (["CREDIT", "STOP", "PING", "PONG"].includes(name)) return common;
  decodeControl(payload, name);
  return { ...common, json: JSON.parse(new TextDecoder().decode(payload)) };
}

/** A process that does what the recorded one did. */
function spawnerOf(vector: SessionCase): Spawner {
  const { started, refused, exit, stdout, stderr } = summary(
    saidBy(vector, "server"),
  );
  if (refused !== undefined) {
    const error = new LimpetError(refused as ErrorCode, "As it was recorded");
    return () => Promise.reject(error);
  }
  const { code, signal, reason } = (exit ?? {}) as Record<string, never>;
  const reads = saidBy(vector, "client")
    .reduce((sum, { payload = "" }) => sum + payload.length / 2, 0);
  // What was ended by the server runs until it is.
  const runs = exit === undefined || reason !== undefined ||
    vector.name === "stdout stopped";
  return fakeSpawner({
    pid: Number(started?.pid ?? 1),
    reads,
    stdout: fromHex(stdout.hex),
    stderr: fromHex(stderr.hex),
    fails: stdout.ends[0]?.[0] === "ABORT",
    heldOpen: stdout.ends[0]?.[2] === true,
    stopsReading: vector.name === "stdin stopped",
    exit: runs ? null : { code, signal },
  });
}

/** A server of ours, and the recording's client up to its proof. */
async function begin(vector: SessionCase) {
  const { frame, control, window } = vector.limits.server;
  const [clientEnd, serverEnd] = pair();
  let spawned = 0;
  const spawner = spawnerOf(vector);
  const server = new Server({
    token: vector.token,
    platform: PLATFORM,
    environment: () => ({}),
    spawner: (command) => {
      spawned++;
      return spawner(command);
    },
    limits: {
      maxFrameBytes: frame,
      maxControlBytes: control,
      windowBytes: Math.max(1_024, window),
    },
  });
  const over = server.accept(serverEnd);
  const peer = new RawPeer(clientEnd);
  const [first, ...rest] = vector.steps.filter(({ from }) => from === "client");
  const hello = new Uint8Array(fromHex(first.hex)).slice(
    CLIENT_PREFACE.byteLength,
  );
  await peer.write(CLIENT_PREFACE, hello);
  const answer = await peer.expect(FrameType.HELLO);
  const transcript = await transcriptOf(hello, encodeFrame(answer));
  const key = await TokenKey.from(vector.clientToken ?? vector.token);
  const proof = proofFrame(await key.sign(clientMessage(transcript)));
  return { peer, proof, rest, over, spawned: () => spawned };
}

describe("recorded sessions, played to our server", () => {
  const usable = sessionVectors.sessions.filter(({ name }) =>
    !FOREIGN.has(name)
  );

  test("most of them can be", () => {
    expect(usable.length).toBeGreaterThan(20);
  });

  test.each(usable)("$name", async (vector) => {
    const { peer, proof, rest, over } = await begin(vector);
    const expected = summary(saidBy(vector, "server"));
    const got: Message[] = [];
    const hear = async () => {
      const frame = await peer.next();
      if (frame === null) throw new Error("The server ended too early");
      got.push(messageOf(frame));
    };
    const until = async (done: () => boolean) => {
      while (!done()) await hear();
    };
    for (const message of rest.flatMap(({ messages }) => messages)) {
      if (message.name === "PROOF") await peer.write(proof);
      else if (message.name === "CLOSE") {
        await until(() => isWhole(summary(got), expected));
        await peer.write(frameOf(message));
        await peer.end();
      } else {
        // What is said to a running command is said once it is running.
        if (message.name === "SIGNAL" || message.name === "STOP") {
          await until(() => summary(got).started !== undefined);
        }
        const frame = frameOf(message);
        await peer.write(...splitControl(frame, vector.limits.server.frame));
      }
    }
    if (expected.closed !== undefined) await until(() => has(got, "CLOSE"));
    await peer.drop();
    await over;
    const outcome = summary(got);
    if (vector.name === "stdout stopped") {
      // How much of it was sent before STOP came is nobody's to say.
      expect(outcome.stdout.ends.map(([name]) => name)).toEqual(["END"]);
      expect(outcome.exit).toBeDefined();
    } else expect(outcome).toEqual(expected);
  });
});

/** Each server gives its own. */
function withoutJobId(started: Message["json"]): Message["json"] {
  if (started === undefined) return undefined;
  const { jobId: _, ...rest } = started;
  return rest;
}

function has(messages: readonly Message[], name: string): boolean {
  return messages.some((message) => message.name === name);
}

type Summary = ReturnType<typeof summary>;

/** Whether all has come that is to come of the command. */
function isWhole(got: Summary, expected: Summary): boolean {
  return (got.exit === undefined) === (expected.exit === undefined) &&
    (got.refused === undefined) === (expected.refused === undefined) &&
    got.stdout.ends.length === expected.stdout.ends.length &&
    got.stderr.ends.length === expected.stderr.ends.length;
}

describe("clients that break a rule", () => {
  const wrong = sessionVectors.broken.filter(({ result }) =>
    result.close?.by === "server"
  );

  test.each(wrong)("$name", async (vector) => {
    const { peer, proof, rest, over, spawned } = await begin(vector);
    const messages = rest.flatMap(({ messages }) => messages);
    for (const message of messages) {
      if (message.name === "PROOF") await peer.write(proof);
      else if (vector.name === "stdin beyond the window") {
        // A window of 8 is announced in the recording; ours is 1,024.
        const payload = message.name === "DATA"
          ? "00".repeat(1_025)
          : undefined;
        await peer.write(frameOf({ ...message, payload }));
      } else await peer.write(frameOf(message));
    }
    expect(await peer.closeCode()).toBe(vector.result.close?.code);
    await over;
    if (!has(messages, "PROOF")) expect(spawned()).toBe(0);
  });
});
