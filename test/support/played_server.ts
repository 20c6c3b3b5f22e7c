/**
 * The server's side of a recorded session, played to a client that runs.
 *
 * @module
 */

import { encodeFrame, type Frame, FrameType } from "../../core/frame/frame.ts";
import { SERVER_PREFACE } from "../../core/frame/preface.ts";
import type { Duplex } from "../../core/ports.ts";
import { serverMessage, transcriptOf } from "../../core/auth/proof.ts";
import { TokenKey } from "../../core/auth/token.ts";
import { splitControl } from "../../core/session/parts.ts";
import { decode, fromHex } from "./frames.ts";
import { jsonFrame, RawPeer, serverProofFrame } from "./raw_peer.ts";
import type { Message, SessionCase } from "./vectors.ts";

const { CLOSE, CREDIT, DATA, HELLO, PART, PROOF } = FrameType;

/** The frame of a message in a recording. */
export function frameOf({ type, stream, channel, ...rest }: Message): Frame {
  if (rest.json !== undefined) {
    return jsonFrame(type, rest.json, channel, stream);
  }
  if (rest.credit === undefined) {
    const payload = fromHex(rest.payload ?? "");
    return { type, stream, channel, payload };
  }
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, rest.credit);
  return { type, stream, channel, payload };
}

/** How often each kind of message was there, or how many bytes of DATA. */
function count(messages: readonly Message[], type: number): number {
  const these = messages.filter((message) => message.type === type);
  if (type !== DATA) return these.length;
  return these.reduce((sum, { payload = "" }) => sum + payload.length / 2, 0);
}

/**
 * Plays it step by step: waits until the client has said what it says in the
 * recording, CREDIT apart, then says what the server says there. The proof is
 * made anew, because the client's HELLO is not the recorded one. Resolves to
 * the code in the client's CLOSE, or null.
 */
export async function playServer(
  duplex: Duplex,
  vector: SessionCase,
): Promise<string | null> {
  const peer = new RawPeer(duplex);
  const key = await TokenKey.from(vector.token);
  const expected: Message[] = [];
  const heard = new Map<number, number>();
  let clientHello = new Uint8Array(0);
  let clientProof = new Uint8Array(0);
  let serverHello = new Uint8Array(0);

  const hear = async (): Promise<void> => {
    const frame = await peer.next();
    if (frame === null) throw new Error("The client ended too early");
    const { type, payload } = frame;
    if (type === PROOF) {
      const json = JSON.parse(new TextDecoder().decode(payload));
      const text = json.proof.replaceAll("-", "+").replaceAll("_", "/");
      clientProof = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    }
    const amount = type === DATA ? payload.byteLength : 1;
    heard.set(type, (heard.get(type) ?? 0) + amount);
  };

  for (const { from, hex, messages } of vector.steps) {
    if (from === "client") {
      expected.push(...messages);
      if (clientHello.byteLength === 0) {
        clientHello = new Uint8Array(encodeFrame(await peer.expect(HELLO)));
      }
      for (const type of new Set(messages.map(({ type }) => type))) {
        if (type === CREDIT || type === CLOSE) continue;
        while ((heard.get(type) ?? 0) < count(expected, type)) await hear();
      }
      continue;
    }
    const bytes = new Uint8Array(fromHex(hex));
    if (serverHello.byteLength === 0) {
      // The preface and HELLO, or whatever stands in their place.
      serverHello = bytes.slice(SERVER_PREFACE.byteLength);
      await peer.write(bytes);
      continue;
    }
    const inParts = decode([bytes]).some(({ type }) => type === PART);
    const cut = (frame: Frame) =>
      inParts ? splitControl(frame, vector.limits.client.frame) : [frame];
    for (const message of messages) {
      if (message.type === PROOF && hasToken(vector)) {
        const transcript = await transcriptOf(clientHello, serverHello);
        const proof = await key.sign(serverMessage(transcript, clientProof));
        await peer.write(serverProofFrame(proof));
      } else {
        await peer.write(...cut(frameOf(message)));
      }
    }
    // Hints of later versions do not show in the messages.
    const hints = decode([bytes]).filter(({ type }) => type >= 128);
    if (hints.length > 0) await peer.write(...hints);
  }
  // The recordings in which the server is the last to speak end right there,
  // unless it broke a rule: then the client is to notice that.
  const last = vector.steps.at(-1)?.from;
  if (last === "server" && vector.result.close === undefined) await peer.end();
  return await peer.closeCode();
}

/** Whether the recording shows a server that has the token. */
function hasToken({ name }: SessionCase): boolean {
  return name !== "wrong proof of the server" &&
    name !== "proof of another session";
}
