/**
 * The recorded sessions of test/vectors, as frames to be spoiled.
 *
 * @module
 */

import { Decoder } from "../../core/frame/decoder.ts";
import { FrameType } from "../../core/frame/frame.ts";
import { frameVectors, type Role, sessionVectors } from "../support/vectors.ts";
import type { RawFrame } from "./script.ts";

type Recordings = Readonly<Record<Role, readonly RawFrame[][]>>;

/** What one side says behind its proof, session by session. */
export const RECORDED: Recordings = {
  client: spokenBy("client"),
  server: spokenBy("server"),
};

/** Single messages, most of them wrong in some way. */
export const ALONE: Recordings = {
  client: saidBy("client"),
  server: saidBy("server"),
};

function spokenBy(side: Role): RawFrame[][] {
  const { sessions, broken } = sessionVectors;
  return framesOf(
    [...sessions, ...broken].map(({ steps }) =>
      steps.filter(({ from }) => from === side).slice(1)
        .map(({ hex }) => hex).join("")
    ),
  );
}

function saidBy(side: Role): RawFrame[][] {
  const { valid, invalid, refused } = frameVectors;
  return framesOf(
    [...valid, ...invalid, ...refused]
      .filter(({ from, authenticated }) => from === side && authenticated)
      .map(({ hex }) => hex),
  );
}

function framesOf(recordings: readonly string[]): RawFrame[][] {
  return recordings
    // The long ones hold nothing that the short ones do not, only more of it.
    .filter((hex) => hex.length < 40_000)
    .map((hex) => framesIn(fromHex(hex)))
    .filter((frames) => frames.length > 0);
}

function framesIn(bytes: Uint8Array): RawFrame[] {
  const decoder = new Decoder(bytes.byteLength);
  decoder.push(bytes);
  const frames: RawFrame[] = [];
  try {
    for (let frame; (frame = decoder.next()) !== undefined;) {
      // The proof of another connection proves nothing on this one.
      if (frame.type !== FrameType.PROOF) frames.push(frame);
    }
  } catch {
    // Of those that claim more than there is, the mutations make enough.
  }
  return frames;
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}
