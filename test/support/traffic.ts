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

  /** A connection on which that frame comes first: takes what passes there. */
  from(next: number): Passing {
    let at = this.#starts[next];
    if (at === undefined) throw new Error(`Frame ${next} has never come`);
    return (bytes, whole) => {
      const end = at + bytes;
      this.again += Math.min(this.#furthest, end) -
        Math.min(this.#furthest, at);
      this.#furthest = Math.max(this.#furthest, end);
      at = end;
      if (whole) this.#starts[++next] = end;
    };
  }

  get bytes(): number {
    return this.#furthest;
  }
}

/** So many bytes of a frame, and whether they are the last of it. */
type Passing = (bytes: number, whole: boolean) => void;

/** What passes on a connection that does not have the session. */
const NOTHING: Passing = () => {};

/** See the module's description. One session, whose id nobody has to know. */
export class Traffic {
  readonly #client = new Direction();
  readonly #server = new Direction();
  /** Connections on which the server said that it goes on. */
  resumes = 0;

  /** Bytes that passed more than once, both ways. */
  get again(): number {
    return this.#client.again + this.#server.again;
  }

  /** Bytes of frames with a number, each counted once, both ways. */
  get bytes(): number {
    return this.#client.bytes + this.#server.bytes;
  }

  /**
   * For the proxy: one more connection. Each has its own place in the session: a
   * client may dial another one, and go on with the older one after all.
   */
  tap(): Tap {
    let offered: number | null = null;
    let ofClient = NOTHING;
    let ofServer = NOTHING;
    const client = reader(
      (frame) => {
        if (frame.type !== FrameType.HELLO) return;
        const hello = decodeControl(frame.payload, "HELLO");
        if (hello.has("resume")) {
          offered = hello.object("resume").integer("received");
        } else {
          ofClient = this.#client.from(0);
          ofServer = this.#server.from(0);
        }
      },
      (bytes, whole) => ofClient(bytes, whole),
    );
    const server = reader(
      (frame) => {
        if (frame.type !== FrameType.PROOF) return;
        const proof = decodeControl(frame.payload, "PROOF");
        if (offered === null || !proof.has("resumed")) return;
        this.resumes++;
        const resumed = proof.object("resumed");
        ofClient = this.#client.from(resumed.integer("received"));
        ofServer = this.#server.from(offered);
      },
      (bytes, whole) => ofServer(bytes, whole),
    );
    return { client, server };
  }
}

/** Gives out the frames of a handshake, and counts the others. */
function reader(
  shake: (frame: Frame) => void,
  pass: Passing,
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
        pass(header + frame.payload.byteLength, decoder.whole);
      }
    }
  };
}
