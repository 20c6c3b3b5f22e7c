/**
 * From a seed to what a hostile peer does.
 *
 * @module
 */

import { FrameType } from "../../core/frame/frame.ts";
import { CLIENT_PREFACE, SERVER_PREFACE } from "../../core/frame/preface.ts";
import { toBase64Url } from "../../core/auth/base64url.ts";
import { offeredBindings } from "../../core/session/binding.ts";
import type { Role } from "../support/vectors.ts";
import { mutateBytes, mutateFrames, randomFrame } from "./mutate.ts";
import type { Prng } from "./prng.ts";
import { CLIENT_KEY, HOST_KEY, TLS, type TlsName } from "./secrets.ts";
import {
  ackFrame,
  type Item,
  jsonFrame,
  rawBytes,
  type RawFrame,
  type Script,
} from "./script.ts";
import { sessionFrames } from "./sessions.ts";

/** In how many ways a session is spoiled: one way lets it get furthest. */
const SPOILS = [0, 0, 1, 1, 1, 2, 4];
const TLS_NAMES: readonly TlsName[] = [
  "none",
  "none",
  "certificate",
  "exporter",
];
const BINDINGS = ["tls-exporter", "tls-server-certificate"];
const HOST_KEYS = [
  CLIENT_KEY,
  undefined,
  "",
  "ed25519:",
  "ed25519:\u001b[2J",
  `ed25519:${"A".repeat(43)}`,
];
const text = (string: string) => new TextEncoder().encode(string);

/** What knocks on the port of a machine that somebody forgot. */
const STRANGERS: readonly Uint8Array[] = [
  text("GET / HTTP/1.1\r\nHost: localhost:8090\r\n\r\n"),
  text("POST /run HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nrm -rf /\n"),
  text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  text("SSH-2.0-OpenSSH_9.6\r\n"),
  text("ls\r\n"),
  text("\u001b[2J\u001b]0;x\u0007\n"),
  text("\u009b2J \u202e"),
  Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3),
];

/**
 * A script for the peer that plays `side`. With `lasting`, of sessions that go on
 * over one connection after another.
 */
export function makeScript(
  side: Role,
  rng: Prng,
  lasting = false,
): Script {
  const tls = rng.pick(TLS_NAMES);
  // Half of them have the token: what they may do is what they then misuse.
  const insider = rng.oneIn(2);
  let items = rng.oneIn(12) && !insider
    ? [bytesItem(strangeBytes(side, rng))]
    : conversation(side, insider, tls, rng, lasting);
  if (lasting && insider) {
    for (let more = rng.pick([0, 1, 1, 2, 3]); more > 0; more--) {
      items.push(...comingBack(side, tls, rng));
    }
  }
  if (rng.oneIn(5)) items = spoilBytes(items, insider, rng);
  if (rng.oneIn(10)) {
    items.splice(rng.below(items.length + 1), 0, { do: "mute" });
  }
  if (rng.oneIn(6)) items.push({ do: "end" });
  const chunk = rng.oneIn(2) ? 0 : 1 + rng.below(rng.pick([4, 64, 5_000]));
  return { seed: rng.next(), items, chunk, tls };
}

function bytesItem(bytes: Uint8Array): Item {
  return { do: "bytes", bytes };
}

function strangeBytes(side: Role, rng: Prng): Uint8Array {
  if (rng.oneIn(4)) return rng.bytes(rng.below(300));
  if (rng.oneIn(4)) return mutateBytes(prefaceOf(side), rng);
  return rng.oneIn(2) ? rng.pick(STRANGERS) : mutateBytes(
    rng.pick(STRANGERS),
    rng,
  );
}

function prefaceOf(side: Role): Uint8Array {
  return side === "client" ? CLIENT_PREFACE : SERVER_PREFACE;
}

/** Preface, HELLO, PROOF and what comes then, each perhaps not as it should. */
function conversation(
  side: Role,
  insider: boolean,
  tls: TlsName,
  rng: Prng,
  lasting: boolean,
): Item[] {
  const items: Item[] = [];
  // Who keeps to the handshake gets further; who does not is seen to as well.
  const strict = insider && !rng.oneIn(8);
  if (!strict && rng.oneIn(10)) items.push(bytesItem(rng.bytes(rng.below(40))));
  items.push(bytesItem(prefaceOf(side)));
  const features = lasting && !rng.oneIn(8) ? ["resume"] : [];
  const body = helloBody(side, tls, rng, features);
  let opening: RawFrame[] = [jsonFrame(FrameType.HELLO, body)];
  while (!strict && rng.oneIn(2)) opening = mutateFrames(opening, rng);
  items.push(...opening.map((frame) => bytesItem(rawBytes(frame))));
  if (insider || rng.oneIn(3)) {
    const flip = insider ? null : rng.below(60 * 8);
    items.push({
      do: "proof",
      secret: insider || rng.oneIn(3),
      of: rng.oneIn(4) ? "pair" : "token",
      named: strict || !rng.oneIn(8),
      bound: strict || !rng.oneIn(4),
      flip,
      fields: lasting && side === "server" ? keeping(rng) : undefined,
    });
  } else if (rng.oneIn(2)) {
    const proof = toBase64Url(rng.bytes(32));
    items.push(bytesItem(rawBytes(jsonFrame(FrameType.PROOF, { proof }))));
  }
  if (!strict && rng.oneIn(4)) {
    items.splice(
      rng.below(items.length),
      0,
      bytesItem(
        rawBytes(randomFrame(rng)),
      ),
    );
  }
  // Behind the proof without waiting for its answer, or after it.
  if (rng.oneIn(2)) items.push({ do: "settle" });
  // Most sessions are over with the first mistake, and do not get to come back.
  const brief = lasting && !rng.oneIn(3);
  let frames = brief ? [] : sessionFrames(side, rng, lasting);
  for (let i = brief ? 0 : rng.pick(SPOILS); i > 0; i--) {
    frames = rng.oneIn(8)
      ? splice(frames, sessionFrames(side, rng, lasting), rng)
      : mutateFrames(frames, rng);
  }
  for (const frame of frames) {
    items.push(bytesItem(rawBytes(frame)));
    if (rng.oneIn(5)) items.push({ do: "settle" });
  }
  return items;
}

/** Another connection: a handshake that goes on with the session, and what then comes. */
function comingBack(side: Role, tls: TlsName, rng: Prng): Item[] {
  const items: Item[] = [{ do: "again", drops: !rng.oneIn(4) }];
  if (rng.oneIn(12)) return items;
  items.push(bytesItem(prefaceOf(side)));
  const strict = !rng.oneIn(6);
  const session = strict ? "$SESSION" : rng.pick(["", "x", "A".repeat(64), 7]);
  const received = rng.oneIn(6)
    ? rng.pick([
      "$RECEIVED-1",
      "$RECEIVED+1",
      "$RECEIVED+9",
      0,
      -1,
      2 ** 53,
      "x",
    ])
    : "$RECEIVED";
  const own = helloBody(side, tls, rng, rng.oneIn(8) ? [] : ["resume"]);
  // What has come of the next one, which is most often none of it.
  const begun = rng.oneIn(6)
    ? rng.pick([1, 1_000, -1, "x"])
    : rng.pick([undefined, 0]);
  const body = side === "client" && !rng.oneIn(8)
    ? { ...own, resume: { session, received, begun } }
    : own;
  items.push({ do: "hello", body });
  items.push({
    do: "proof",
    // Another one's, now and then: nobody may go on with what is not theirs.
    secret: !rng.oneIn(8),
    of: rng.oneIn(4) ? "pair" : "token",
    named: true,
    bound: !rng.oneIn(16),
    flip: rng.oneIn(16) ? rng.below(60 * 8) : null,
    fields: side === "server" && !rng.oneIn(8)
      ? {
        resumed: rng.oneIn(12) ? rng.pick([null, {}, 1]) : { received, begun },
      }
      : undefined,
  });
  if (!rng.oneIn(5)) items.push({ do: "replay" });
  if (rng.oneIn(3)) {
    const count = rng.pick([0, 1, 3, 50, 2 ** 40]);
    items.push(bytesItem(rawBytes(ackFrame(count))));
  }
  const frames = rng.oneIn(2) ? [] : sessionFrames(side, rng, true);
  const spoiled = rng.oneIn(3) ? mutateFrames(frames, rng) : frames;
  for (const frame of spoiled) {
    items.push(bytesItem(rawBytes(frame)));
    if (rng.oneIn(5)) items.push({ do: "settle" });
  }
  return items;
}

/** What a server says of a session that it keeps. */
function keeping(rng: Prng): object | undefined {
  if (rng.oneIn(8)) return undefined;
  if (rng.oneIn(12)) return { session: rng.pick([null, {}, "x", 1]) };
  const id = rng.oneIn(10) ? rng.pick(["", "\u001b[2J", "x".repeat(65)]) : "it";
  const graceMs = rng.pick([60_000, 60_000, 60_000, 0, 1, -1, 2 ** 53 - 1]);
  return { session: { id, graceMs } };
}

/** The beginning of one session and the end of another. */
function splice(a: RawFrame[], b: RawFrame[], rng: Prng): RawFrame[] {
  return [
    ...a.slice(0, rng.below(a.length + 1)),
    ...b.slice(rng.below(b.length + 1)),
  ];
}

function helloBody(
  side: Role,
  tls: TlsName,
  rng: Prng,
  more: readonly string[],
): object {
  const bindings = offeredBindings(TLS[tls]);
  const own = side === "client"
    ? {
      min: 1,
      max: 1,
      features: [...rng.oneIn(4) ? [] : ["ed25519", "another"], ...more],
      bindings: rng.oneIn(8) ? ["another", ...BINDINGS] : bindings,
    }
    : {
      version: 1,
      features: [],
      hostKey: rng.oneIn(8) ? rng.pick(HOST_KEYS) : HOST_KEY,
      binding: rng.oneIn(8) ? rng.pick(BINDINGS) : rng.pick(bindings),
    };
  return {
    ...own,
    nonce: toBase64Url(rng.bytes(32)),
    limits: {
      frame: rng.pick([1_024, 65_536, Number.MAX_SAFE_INTEGER]),
      control: rng.pick([0, 4_096, 4_194_304, Number.MAX_SAFE_INTEGER]),
      window: rng.pick([0, 1, 1_024, 262_144, 0x7fff_ffff]),
    },
    software: "fuzz",
  };
}

/** Spoils the bytes of one item. Of an insider, one behind the handshake. */
function spoilBytes(items: Item[], insider: boolean, rng: Prng): Item[] {
  const from = insider ? items.findIndex((item) => item.do === "proof") : 0;
  const at = from + rng.below(items.length - from);
  const item = items[at];
  if (item?.do !== "bytes") return items;
  const spoiled = bytesItem(mutateBytes(item.bytes, rng));
  return [...items.slice(0, at), spoiled, ...items.slice(at + 1)];
}
