/**
 * Plays a script on one end of a connection, and looks at what comes back.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { Decoder } from "../../core/frame/decoder.ts";
import {
  encodeFrame,
  type Frame,
  frameName,
  FrameType,
  HEADER_BYTES,
} from "../../core/frame/frame.ts";
import { CLIENT_PREFACE, SERVER_PREFACE } from "../../core/frame/preface.ts";
import { LimpetError } from "../../core/errors.ts";
import { MAX_HANDSHAKE_FRAME_BYTES } from "../../core/limits.ts";
import type { Duplex, TlsInfo } from "../../core/ports.ts";
import { bindingOf } from "../../core/session/binding.ts";
import { toBase64Url } from "../../core/auth/base64url.ts";
import {
  clientMessage,
  serverMessage,
  transcriptOf,
} from "../../core/auth/proof.ts";
import { TokenKey } from "../../core/auth/token.ts";
import type { Role } from "../support/vectors.ts";
import { joined } from "./mutate.ts";
import { unclean } from "./problems.ts";
import { OTHER_TOKEN, pairs, TOKEN } from "./secrets.ts";
import {
  type Deed,
  filledIn,
  jsonFrame,
  type Progress,
  type Proof,
  rawBytes,
  type Script,
  writesOf,
} from "./script.ts";

const ENCODINGS = [
  "utf-8",
  "gbk",
  "cp437",
  "constructor",
  "toString",
  "__proto__",
  "utf-8\u001b[2J\u009b",
  "x".repeat(4_000),
];

/** What a played server says of its machine: hostile as far as it is let. */
function platform(seed: number): object {
  return {
    os: "linux",
    arch: "x86_64",
    shell: "/bin/sh",
    encoding: ENCODINGS[seed % ENCODINGS.length],
    cwd: "/\u001b]0;x\u0007",
    runtime: "fuzz",
  };
}

/** Turns of the event loop that bring a memory pipe and its readers to rest. */
const TURNS = 2;

/** Waits until nothing more happens by itself. */
export async function settle(turns = TURNS): Promise<void> {
  for (let i = 0; i < turns; i++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** See the module's description. */
export class Player {
  /** Of a session that has had other connections. */
  readonly progress: Progress;
  /** What the other side did that no peer of ours may do. */
  readonly problems: string[] = [];
  /** Frames that came from the other side. */
  readonly heard: Frame[] = [];
  /** Whether our proof was bound to another connection than this one. */
  strayed = false;
  readonly #side: Role;
  readonly #tls: TlsInfo | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #decoder = new Decoder(0x7fff_ffff);
  /** What was sent, as far as it can matter to the transcript. */
  readonly #sent: Uint8Array[] = [];
  #proving = false;
  /** Whether the other side has proved itself, or seems to. */
  #proved = false;
  /** Whether our proof was that of who has the secret, for this connection. */
  #honest = false;
  /** What was sent behind our proof. */
  readonly #behind: Uint8Array[] = [];
  #head: Uint8Array = new Uint8Array(0);
  /** The PART frames of the message that is under way. */
  #parts: Uint8Array[] = [];
  /** Whether what comes first may be the rest of a message. */
  #inMiddle: boolean;
  #seed = 0;
  #muted = false;
  #dropped = false;
  #closed = false;

  constructor(
    side: Role,
    duplex: Duplex,
    progress?: Progress,
  ) {
    this.#inMiddle = progress !== undefined;
    this.progress = progress ??
      { session: "", received: 0, acknowledged: 0, sent: [] };
    this.#side = side;
    this.#tls = duplex.tls;
    this.#reader = duplex.readable.getReader();
    this.#writer = duplex.writable.getWriter();
    for (const end of [this.#reader.closed, this.#writer.closed]) {
      end.catch(() => {});
    }
    this.#read();
  }

  /** Plays it to its end. */
  async play(script: Script): Promise<void> {
    this.#seed = script.seed;
    for (const write of writesOf(script)) {
      if (write instanceof Uint8Array) this.#write(write);
      else await this.#act(write);
    }
    await settle();
  }

  /** Writes down which frames were sent, for a connection to come. */
  note(): void {
    const { progress } = this;
    progress.sent.length = Math.min(
      progress.sent.length,
      progress.acknowledged,
    );
    progress.sent.push(...framesIn(joined(...this.#behind)));
  }

  /** Drops the connection. */
  async drop(): Promise<void> {
    this.#dropped = true;
    await Promise.allSettled([this.#reader.cancel(), this.#writer.abort()]);
  }

  /** Takes the other side's bytes again, to their end. */
  unmute(): void {
    if (!this.#muted) return;
    this.#muted = false;
    this.#read();
  }

  async #act(item: Deed): Promise<void> {
    switch (item.do) {
      case "settle":
        return await settle();
      case "mute":
        this.#muted = true;
        return;
      case "end":
        this.#writer.close().catch(() => {});
        return await settle();
      case "hello": {
        const body = filledIn(item.body, this.progress);
        return this.#write(rawBytes(jsonFrame(FrameType.HELLO, body)));
      }
      case "replay": {
        await settle();
        const { sent, acknowledged } = this.progress;
        for (const frame of sent.slice(acknowledged)) this.#write(frame);
        return;
      }
      case "again":
        throw new TypeError("One player has one connection");
      case "proof": {
        await settle();
        const proof = await this.#proof(item);
        this.#honest = item.secret && !this.strayed;
        if (item.flip !== null) {
          proof[(item.flip >> 3) % proof.byteLength] ^= 1 << (item.flip & 7);
        }
        this.#write(proof);
        this.#behind.length = 0;
        return;
      }
    }
  }

  /** Not awaited: the other side may have stopped reading, and that is its right. */
  #write(bytes: Uint8Array): void {
    if (this.#proving) this.#behind.push(bytes);
    else this.#sent.push(bytes);
    this.#writer.write(bytes).catch(() => {});
  }

  /** Our PROOF frame, of whatever both sides said for a HELLO. */
  async #proof(item: Proof): Promise<Uint8Array> {
    this.#proving = true;
    const ours = helloIn(joined(...this.#sent));
    const said = (type: number) =>
      this.heard.find((frame) => frame.type === type);
    const answer = said(FrameType.HELLO);
    const theirs = answer === undefined
      ? new Uint8Array(0)
      : encodeFrame(answer);
    const serverHello = this.#side === "client" ? theirs : ours;
    const binding = this.#binding(serverHello, item.bound);
    const token = await TokenKey.from(item.secret ? TOKEN : OTHER_TOKEN);
    if (this.#side === "client") {
      const transcript = await transcriptOf(ours, theirs, binding);
      const pair = await (item.secret ? pairs.client : pairs.other)();
      const isPair = item.of === "pair";
      const proof = isPair
        ? await pair.sign(clientMessage(transcript))
        : await token.sign(clientMessage(transcript));
      const key = isPair ? pair.publicKey : await token.id;
      const body = { proof: toBase64Url(proof), ...item.named && { key } };
      return rawBytes(jsonFrame(FrameType.PROOF, body));
    }
    const transcript = await transcriptOf(theirs, ours, binding);
    const { key, proof: theirProof } = bodyOf(said(FrameType.PROOF));
    const clientProof = bytesOf(theirProof ?? "");
    const pair = await (item.secret ? pairs.host : pairs.other)();
    const proof = key?.startsWith("ed25519:")
      ? await pair.sign(serverMessage(transcript, clientProof))
      : await token.sign(serverMessage(transcript, clientProof));
    const body = {
      proof: toBase64Url(proof),
      platform: platform(this.#seed),
      ...item.fields,
    };
    const text = filledIn(body, this.progress);
    return rawBytes(jsonFrame(FrameType.PROOF, text));
  }

  /** What the server's HELLO says that both are bound to, or something else. */
  #binding(serverHello: Uint8Array, right: boolean): Uint8Array | undefined {
    const { binding } = bodyIn(serverHello.subarray(HEADER_BYTES));
    const bytes = bindingOf(this.#tls, binding);
    if (bytes === undefined || right) return bytes;
    this.strayed = true;
    return bytes.map((byte) => byte ^ 1);
  }

  async #read(): Promise<void> {
    try {
      while (!this.#muted) {
        const { done, value } = await this.#reader.read();
        if (this.#dropped) return;
        if (done) return this.#atEnd();
        this.#take(value);
      }
    } catch (error) {
      if (!(error instanceof LimpetError)) {
        this.problems.push(`Reading failed with ${error}`);
      }
    }
  }

  #take(chunk: Uint8Array): void {
    let rest = chunk;
    if (this.#head.byteLength < 8) {
      const missing = 8 - this.#head.byteLength;
      this.#head = joined(this.#head, rest.subarray(0, missing));
      rest = rest.subarray(missing);
      const preface = this.#side === "client" ? SERVER_PREFACE : CLIENT_PREFACE;
      if (this.#head.some((byte, i) => byte !== preface[i])) {
        this.problems.push("Another side's preface is not one");
      }
    }
    this.#decoder.push(rest);
    for (let frame; (frame = this.#decoder.next()) !== undefined;) {
      this.#look(frame);
    }
  }

  #look(frame: Frame): void {
    const name = frameName(frame.type);
    if (this.#closed) this.problems.push(`${name} after CLOSE`);
    this.#closed = frame.type === FrameType.CLOSE;
    this.heard.push(frame);
    if (this.#proved && this.#decoder.whole && frame.type !== FrameType.ACK) {
      this.progress.received++;
    }
    const isRaw = frame.type === FrameType.DATA ||
      frame.type === FrameType.CREDIT || frame.type === FrameType.STOP ||
      frame.type === FrameType.ACK;
    if (frame.type === FrameType.PING || frame.type === FrameType.PONG) {
      if (rawBytes(frame).byteLength > 10) {
        this.problems.push(`${name} too long`);
      }
      return;
    }
    if (isRaw) return;
    this.#parts.push(frame.payload);
    if (frame.type === FrameType.PART) return;
    const message = joined(...this.#parts);
    this.#parts = [];
    // An earlier connection has had the parts before these.
    const isRest = this.#inMiddle && this.#proved;
    if (isRest) {
      this.#inMiddle = false;
      return;
    }
    const body = JSON.parse(new TextDecoder().decode(message));
    this.#learn(frame.type, body);
    for (const key of ["code", "message"]) {
      const problem = typeof body[key] === "string" ? unclean(body[key]) : null;
      if (problem !== null) this.problems.push(`${name}: ${problem}`);
    }
  }

  /** What the other side says of the session, and that it believes us. */
  #learn(type: number, body: Record<string, unknown>): void {
    const { progress } = this;
    const of = (key: string) => {
      const value = body[key];
      return typeof value === "object" && value !== null
        ? value as Record<string, unknown>
        : {};
    };
    const theirs = of(type === FrameType.HELLO ? "resume" : "resumed").received;
    if (typeof theirs === "number") progress.acknowledged = theirs;
    if (type !== FrameType.PROOF) return;
    this.#proved = true;
    if (this.#side === "client" && !this.#honest) {
      this.problems.push("Let in without the secret, or from elsewhere");
    }
    const { id } = of("session");
    if (typeof id === "string") progress.session = id;
  }

  #atEnd(): void {
    try {
      if (this.#head.byteLength === 8) this.#decoder.end();
    } catch (error) {
      this.problems.push(`A clean end in the wrong place: ${error}`);
    }
  }
}

/** The first whole HELLO frame behind eight bytes. */
function helloIn(sent: Uint8Array): Uint8Array {
  const decoder = new Decoder(MAX_HANDSHAKE_FRAME_BYTES);
  decoder.push(sent.subarray(8));
  try {
    for (let frame; (frame = decoder.next()) !== undefined;) {
      if (frame.type === FrameType.HELLO) return encodeFrame(frame);
    }
  } catch {
    // A length that is a lie.
  }
  return new Uint8Array(0);
}

/** The whole frames that have a number, as far as they are any. */
function framesIn(bytes: Uint8Array): Uint8Array[] {
  const decoder = new Decoder(bytes.byteLength);
  const frames: Uint8Array[] = [];
  decoder.push(bytes);
  try {
    for (let frame; (frame = decoder.next()) !== undefined;) {
      const counts = decoder.whole && frame.type !== FrameType.ACK;
      if (counts) frames.push(encodeFrame(frame));
    }
  } catch {
    // A length that is a lie.
  }
  return frames;
}

/** What one of ours has said. */
function bodyOf(frame: Frame | undefined): Record<string, string> {
  return bodyIn(frame?.payload ?? new Uint8Array(0));
}

/** The text fields of a payload; none if it is no JSON. */
function bodyIn(payload: Uint8Array): Record<string, string> {
  try {
    const body = JSON.parse(new TextDecoder().decode(payload)) ?? {};
    return Object.fromEntries(
      Object.entries<string>(body).filter(([, value]) =>
        typeof value === "string"
      ),
    );
  } catch {
    return {};
  }
}

function bytesOf(base64Url: string): Uint8Array<ArrayBuffer> {
  const text = base64Url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
