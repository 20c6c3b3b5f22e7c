/**
 * A peer that speaks the wire by hand: right up to where a test wants it wrong.
 *
 * @module
 */

import { decodeControl, encodeControl } from "../../core/frame/control.ts";
import { Decoder } from "../../core/frame/decoder.ts";
import { encodeFrame, type Frame, FrameType } from "../../core/frame/frame.ts";
import { CLIENT_PREFACE, SERVER_PREFACE } from "../../core/frame/preface.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import type { Duplex, Platform } from "../../core/ports.ts";
import {
  helloFrame,
  readProof,
  type ResumeRequest,
} from "../../core/session/hello.ts";
import { toBase64Url } from "../../core/auth/base64url.ts";
import {
  clientMessage,
  makeNonce,
  serverMessage,
  transcriptOf,
} from "../../core/auth/proof.ts";
import { TokenKey } from "../../core/auth/token.ts";
import { join } from "./frames.ts";
import { PLATFORM, TOKEN } from "./serving.ts";

/** A frame with a JSON payload. */
export function jsonFrame(
  type: number,
  body: object,
  channel = 0,
  stream = 0,
): Frame {
  return { type, stream, channel, payload: encodeControl(body) };
}

/** What the transcript of a handshake is made of, and what came of it. */
export interface Handshake {
  readonly transcript: Uint8Array<ArrayBuffer>;
  readonly clientProof: Uint8Array<ArrayBuffer>;
}

/** See the module's description. */
export class RawPeer {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #decoder = new Decoder(0x7fff_ffff);
  #prefaceBytes = 0;

  constructor(duplex: Duplex) {
    this.#reader = duplex.readable.getReader();
    this.#writer = duplex.writable.getWriter();
    for (const end of [this.#reader.closed, this.#writer.closed]) {
      end.catch(() => {});
    }
  }

  /** Writes bytes and frames as they are. */
  async write(...parts: (Uint8Array | Frame)[]): Promise<void> {
    const bytes = parts.map((part) =>
      part instanceof Uint8Array ? part : encodeFrame(part)
    );
    await this.#writer.write(join(bytes));
  }

  /** The next frame behind the peer's preface; null when there are no more. */
  async next(): Promise<Frame | null> {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame !== undefined) return frame;
      const chunk = await this.#reader.read().catch(() => null);
      if (chunk === null || chunk.done) return null;
      const skipped = Math.min(8 - this.#prefaceBytes, chunk.value.byteLength);
      this.#prefaceBytes += skipped;
      this.#decoder.push(chunk.value.subarray(skipped));
    }
  }

  /** The next frame, which must be of this type. */
  async expect(type: number): Promise<Frame> {
    const frame = await this.next();
    if (frame?.type === type) return frame;
    const text = new TextDecoder().decode(frame?.payload);
    throw new Error(`Expected type ${type}, not ${frame?.type}: ${text}`);
  }

  /** All frames up to the end of the connection. Ends our side after CLOSE. */
  async rest(): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (let frame; (frame = await this.next()) !== null;) {
      frames.push(frame);
      if (frame.type === FrameType.CLOSE) await this.end().catch(() => {});
    }
    return frames;
  }

  /** The code in the peer's CLOSE; null if the connection ended without one. */
  async closeCode(): Promise<string | null> {
    const last = (await this.rest()).at(-1);
    if (last?.type !== FrameType.CLOSE) return null;
    return decodeControl(last.payload, "CLOSE").text("code");
  }

  /** Ends our side. */
  async end(): Promise<void> {
    await this.#writer.close();
  }

  /** Drops the connection at once. */
  async drop(): Promise<void> {
    await Promise.allSettled([this.#reader.cancel(), this.#writer.abort()]);
  }

  /** The client's handshake up to the server's HELLO: what PROOF is made of. */
  async greetServer(
    limits: Partial<Limits> = {},
    token: string = TOKEN,
    offers: { features?: string[]; resume?: ResumeRequest } = {},
  ) {
    const hello = helloFrame(
      { min: 1, max: 1, features: [], bindings: [], ...offers },
      makeNonce(),
      {
        ...DEFAULT_LIMITS,
        ...limits,
      },
    );
    await this.write(CLIENT_PREFACE, hello);
    const answer = await this.expect(FrameType.HELLO);
    return await this.#handshake(
      encodeFrame(hello),
      encodeFrame(answer),
      token,
    );
  }

  /** The whole handshake of a client that has the token. */
  async authenticate(
    limits: Partial<Limits> = {},
    ...behindProof: Frame[]
  ): Promise<void> {
    const { clientProof } = await this.greetServer(limits);
    await this.write(proofFrame(clientProof), ...behindProof);
    await this.expect(FrameType.PROOF);
  }

  /** The server's handshake up to its HELLO: what PROOF is made of. */
  async greetClient(limits: Partial<Limits> = {}, token: string = TOKEN) {
    const theirs = await this.expect(FrameType.HELLO);
    const hello = helloFrame(
      { version: 1, hostKey: undefined, binding: undefined },
      makeNonce(),
      {
        ...DEFAULT_LIMITS,
        ...limits,
      },
    );
    await this.write(SERVER_PREFACE, hello);
    return await this.#handshake(
      encodeFrame(theirs),
      encodeFrame(hello),
      token,
    );
  }

  /** The whole handshake of a server that has the token, and `more` with its end. */
  async admit(
    limits: Partial<Limits> = {},
    platform: Platform = PLATFORM,
    ...more: Frame[]
  ): Promise<void> {
    const { transcript } = await this.greetClient(limits);
    const proof = await this.expect(FrameType.PROOF);
    const theirs = readProof(decodeControl(proof.payload, "PROOF"));
    const key = await TokenKey.from(TOKEN);
    const ours = await key.sign(serverMessage(transcript, theirs));
    await this.write(serverProofFrame(ours, platform), ...more);
  }

  async #handshake(
    clientHello: Uint8Array,
    serverHello: Uint8Array,
    token: string,
  ): Promise<Handshake> {
    const transcript = await transcriptOf(clientHello, serverHello);
    const key = await TokenKey.from(token);
    return {
      transcript,
      clientProof: await key.sign(clientMessage(transcript)),
    };
  }
}

/** PROOF of a client. */
export function proofFrame(proof: Uint8Array): Frame {
  return jsonFrame(FrameType.PROOF, { proof: toBase64Url(proof) });
}

/** PROOF of a server. */
export function serverProofFrame(
  proof: Uint8Array,
  platform: Platform = PLATFORM,
): Frame {
  return jsonFrame(FrameType.PROOF, { proof: toBase64Url(proof), platform });
}
