/**
 * What is done to a session so that it is one no longer.
 *
 * @module
 */

import { FrameType } from "../../core/frame/frame.ts";
import { hostileValue, mutateJson } from "./json.ts";
import type { Prng } from "./prng.ts";
import { creditFrame, jsonFrame, type RawFrame } from "./script.ts";

const TYPES: readonly number[] = [
  ...Object.values(FrameType),
  0,
  7,
  8,
  15,
  26,
  127,
  128,
  200,
  255,
];
const CHANNELS = [0, 1, 2, 3, 5, 7, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff];
const LENGTHS = [0, 1, 1_024, 1_025, 16_384, 16_385, 65_537, 0xffff_ffff];
const CREDITS = [0, 1, 1_024, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** Any frame at all, mostly of a type and channel that exist. */
export function randomFrame(rng: Prng): RawFrame {
  const type = rng.oneIn(8) ? rng.below(256) : rng.pick(TYPES);
  const channel = rng.oneIn(8) ? rng.next() : rng.pick(CHANNELS);
  const stream = rng.oneIn(8) ? rng.below(256) : rng.below(3);
  switch (rng.below(5)) {
    case 0:
      return { type, stream, channel, payload: rng.bytes(rng.below(64)) };
    case 1:
      return jsonFrame(type, hostileValue(rng), channel, stream);
    case 2:
      return creditFrame(rng.pick(CREDITS), channel, stream);
    default:
      return jsonFrame(type, someBody(rng), channel, stream);
  }
}

/** Has a field of every message, each of the right type or nearly. */
function someBody(rng: Prng): string {
  const body = JSON.stringify({
    kind: "exec",
    argv: ["cat"],
    code: "closed",
    message: "m",
    bytes: 0,
    pid: 1,
    signal: "SIGTERM",
    terminate: true,
    proof: "A".repeat(43),
  });
  return rng.oneIn(2) ? body : mutateJson(body, rng);
}

/** Spoils a list of frames in one way. */
export function mutateFrames(frames: RawFrame[], rng: Prng): RawFrame[] {
  if (frames.length === 0) return [randomFrame(rng)];
  const out = [...frames];
  const at = rng.below(out.length);
  const other = rng.below(out.length);
  const replace = (change: Partial<RawFrame>) => {
    out[at] = { ...out[at], ...change };
  };
  switch (rng.below(14)) {
    case 0:
      out.splice(at, 1);
      break;
    case 1:
      out.splice(at, 0, out[at]);
      break;
    case 2:
      [out[at], out[other]] = [out[other], out[at]];
      break;
    case 3:
      replace({ type: rng.pick(TYPES) });
      break;
    case 4:
      replace({ stream: rng.oneIn(2) ? rng.below(3) : rng.below(256) });
      break;
    case 5:
      replace({ channel: rng.pick(CHANNELS) });
      break;
    case 6:
      replace({ length: rng.oneIn(2) ? rng.pick(LENGTHS) : rng.below(200) });
      break;
    case 7:
      replace({ payload: mutateBytes(out[at].payload, rng) });
      break;
    case 8:
      out.splice(at, 0, randomFrame(rng));
      break;
    case 9: {
      // Many of the same: what can pile up, does.
      const times = rng.oneIn(8) ? 150 : rng.pick([3, 10, 30]);
      out.splice(at, 0, ...Array(times).fill(out[at]));
      break;
    }
    default: {
      const text = new TextDecoder().decode(out[at].payload);
      const payload = new TextEncoder().encode(mutateJson(text, rng));
      replace({ payload });
    }
  }
  return out;
}

/** Spoils bytes in one way. */
export function mutateBytes(bytes: Uint8Array, rng: Prng): Uint8Array {
  if (bytes.byteLength === 0) return rng.bytes(1 + rng.below(30));
  const at = rng.below(bytes.byteLength);
  const count = 1 + rng.below(Math.min(16, bytes.byteLength - at));
  const before = bytes.subarray(0, at);
  const after = bytes.subarray(at + count);
  switch (rng.below(6)) {
    case 0: {
      const flipped = bytes.slice();
      flipped[at] ^= 1 << rng.below(8);
      return flipped;
    }
    case 1: {
      const changed = bytes.slice();
      changed[at] = rng.pick([0, 1, 0x0a, 0x1b, 0x22, 0x7f, 0x80, 0xc2, 0xff]);
      return changed;
    }
    case 2:
      return joined(before, after);
    case 3:
      return joined(before, rng.bytes(count), bytes.subarray(at));
    case 4:
      return joined(before, bytes.subarray(at, at + count), bytes.subarray(at));
    default:
      return before.slice();
  }
}

/** All in one piece of memory. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}
