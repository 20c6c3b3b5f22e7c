/**
 * What of a session passes over its connections, and how much of it twice: counted
 * by whoever stands between the two, from the frames alone.
 *
 * @module
 */

import { Decoder } from "../../core/frame/decoder.ts";
import { decodeControl } from "../../core/frame/control.ts";
import { type Frame, FrameType, HEADER_BYTES } from "../../core/frame/frame.ts";
import type { Tap } from "./proxy.ts";

const PREFACE_BYTES = 8;

/** One direction of a session, over all of its connections. */
class Direction {
  /** Where each frame begins, in bytes behind the proof. */
  readonly #starts: number[] = [0];
  /** The end of what has passed at least once. */
  #furthest = 0;
  /** Bytes that passed again. */
  again = 0;
  /** The number of the next frame, and how much of it has passed. */
  #next = 0;
  #at = 0;

  /** Another connection, on which that frame comes first. */
  goOn(next: number): void {
    if (this.#starts[next] === undefined) {
      throw new Error(`Frame ${next} has never come`);
    }
    this.#next = next;
    this.#at = this.#starts[next];
  }

  pass(bytes: number, whole: boolean): void {
    const end = this.#at + bytes;
    this.again += Math.min(this.#furthest, end) -
      Math.min(this.#furthest, this.#at);
    this.#furthest = Math.max(this.#furthest, end);
    this.#at = end;
    if (whole) this.#starts[++this.#next] = end;
  }

  get bytes(): number {
    return this.#furthest;
  }
}

/** See the module's description. One session, whose id nobody has to know. */
export class Traffic {
  readonly #client = new Direction();
  readonly #server = new Direction();
  /** Connections on which the server said that it goes on. */
  resumes = 0;
  /** The newest has the session; what others still bring is nobody's. */
  #newest = 0;

  /** Bytes that passed more than once, both ways. */
  get again(): number {
    return this.#client.again + this.#server.again;
  }

  /** Bytes of frames with a number, each counted once, both ways. */
  get bytes(): number {
    return this.#client.bytes + this.#server.bytes;
  }

  /** For the proxy: one more connection. */
  tap(): Tap {
    const number = ++this.#newest;
    const counts = () => number === this.#newest;
    let offered: number | null = null;
    const client = reader(
      (frame) => {
        if (frame.type !== FrameType.HELLO) return;
        const hello = decodeControl(frame.payload, "HELLO");
        if (!hello.has("resume")) return this.#client.goOn(0);
        offered = hello.object("resume").integer("received");
      },
      this.#client,
      counts,
    );
    const server = reader(
      (frame) => {
        if (frame.type !== FrameType.PROOF) return;
        const proof = decodeControl(frame.payload, "PROOF");
        if (offered === null || !proof.has("resumed")) return;
        this.resumes++;
        this.#client.goOn(proof.object("resumed").integer("received"));
        this.#server.goOn(offered);
      },
      this.#server,
      counts,
    );
    return { client, server };
  }
}

/** Gives out the frames of a handshake, and counts the others. */
function reader(
  shake: (frame: Frame) => void,
  direction: Direction,
  counts: () => boolean,
): (bytes: Uint8Array) => void {
  const decoder = new Decoder(Infinity);
  let preface = PREFACE_BYTES;
  let proved = false;
  let begun = false;
  return (bytes) => {
    const skipped = Math.min(preface, bytes.byteLength);
    preface -= skipped;
    decoder.push(bytes.subarray(skipped));
    for (let frame; (frame = decoder.next()) !== undefined;) {
      if (!proved) {
        shake(frame);
        proved = frame.type === FrameType.PROOF;
      } else if (frame.type !== FrameType.ACK) {
        const header = begun ? 0 : HEADER_BYTES;
        begun = !decoder.whole;
        if (!counts()) continue;
        direction.pass(header + frame.payload.byteLength, decoder.whole);
      }
    }
  };
}
