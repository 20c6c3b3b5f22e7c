/**
 * What a hostile peer does on one connection, as data: so that it can be made
 * smaller, printed, and done again.
 *
 * @module
 */

import { FrameType, HEADER_BYTES } from "../../core/frame/frame.ts";
import { concat } from "../support/bytes.ts";
import type { TlsName } from "./secrets.ts";

/** A PROOF made from both HELLOs as they went over the wire. */
export interface Proof {
  readonly do: "proof";
  /** By who has the secret, or by who has another one. */
  readonly secret: boolean;
  /** A client's: of a token, or of a key pair. A server's is of the same kind. */
  readonly of: "token" | "pair";
  /** Whether a client says whose it is. */
  readonly named: boolean;
  /** Whether it is bound to the connection that it is sent on. */
  readonly bound: boolean;
  /** More fields of a server's, with placeholders; see `filledIn`. */
  readonly fields?: object;
  /** Spoils one bit of the frame. */
  readonly flip: number | null;
}

/** One thing that it does. */
export type Item =
  | { readonly do: "bytes"; readonly bytes: Uint8Array }
  | Proof
  /** A HELLO with placeholders, of whoever comes back; see `filledIn`. */
  | { readonly do: "hello"; readonly body: object }
  /** Sends again what the other side says that it does not have. */
  | { readonly do: "replay" }
  /** Goes on over another connection; `drops` the one that there was. */
  | { readonly do: "again"; readonly drops: boolean }
  /** Waits until the other side has nothing more to do. */
  | { readonly do: "settle" }
  /** Reads nothing from here on. */
  | { readonly do: "mute" }
  /** Ends its own side. */
  | { readonly do: "end" };

/** What it does besides writing. */
export type Deed = Exclude<Item, { do: "bytes" }>;

/** See the module's description. */
export interface Script {
  /** Of all that is left to chance while it runs. */
  readonly seed: number;
  readonly items: readonly Item[];
  /** Largest write, in bytes; 0: one write for each item. */
  readonly chunk: number;
  /** What is said to be beneath. */
  readonly tls?: TlsName;
}

/** Whether it proves the secret; without that nothing may come of it. */
export function hasSecret({ items }: Script): boolean {
  return items.some((item) =>
    item.do === "proof" && item.secret && item.flip === null
  );
}

/** Where in a session a peer is that comes back. */
export interface Progress {
  /** The id that the server gave it. */
  session: string;
  /** How many frames have come to it, in all. */
  received: number;
  /** How many the other side says that it has. */
  acknowledged: number;
  /** The frames that it has sent, by their numbers. */
  sent: Uint8Array[];
}

/**
 * Puts what is known when it is played in place of `$SESSION` and of `$RECEIVED`,
 * which may have a number added (`$RECEIVED-2`).
 */
export function filledIn(body: object, progress: Progress): string {
  return JSON.stringify(body, (_, value) => {
    if (value === "$SESSION") return progress.session;
    const count = /^\$RECEIVED([+-]\d+)?$/.exec(value);
    return count ? progress.received + Number(count[1] ?? 0) : value;
  });
}

/** A frame that may lie about itself. */
export interface RawFrame {
  readonly type: number;
  readonly stream: number;
  readonly channel: number;
  readonly payload: Uint8Array;
  /** What its header says of the payload's length, if not the truth. */
  readonly length?: number;
}

/** Of one stretch of bytes, where it is cut apart. */
const MAX_WRITES = 80;

const encoder = new TextEncoder();

/** A frame with a JSON payload. */
export function jsonFrame(
  type: number,
  body: object | string,
  channel = 0,
  stream = 0,
): RawFrame {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { type, stream, channel, payload: encoder.encode(text) };
}

/** CREDIT of that many bytes. */
export function creditFrame(
  bytes: number,
  channel: number,
  stream: number,
): RawFrame {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes);
  return { type: FrameType.CREDIT, stream, channel, payload };
}

/** ACK of so many frames in all. */
export function ackFrame(count: number): RawFrame {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigUint64(0, BigInt(count));
  return { type: FrameType.ACK, stream: 0, channel: 0, payload };
}

/** Its bytes, with whatever its header claims. */
export function rawBytes(frame: RawFrame): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + frame.payload.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, frame.length ?? frame.payload.byteLength);
  view.setUint8(4, frame.type);
  view.setUint8(5, frame.stream);
  view.setUint32(6, frame.channel);
  bytes.set(frame.payload, HEADER_BYTES);
  return bytes;
}

/** The script's bytes as they are written, and what is done between them. */
export function writesOf({ items, chunk }: Script): (Uint8Array | Deed)[] {
  const writes: (Uint8Array | Deed)[] = [];
  let run: Uint8Array[] = [];
  const flush = () => {
    if (run.length === 0) return;
    if (chunk === 0) writes.push(...run);
    else {
      const bytes = concat(run);
      // Single bytes of a long script would be all that is ever done.
      const size = Math.max(chunk, Math.ceil(bytes.byteLength / MAX_WRITES));
      for (let at = 0; at < bytes.byteLength; at += size) {
        writes.push(bytes.subarray(at, at + size));
      }
    }
    run = [];
  };
  for (const item of items) {
    if (item.do === "bytes") run.push(item.bytes);
    else {
      flush();
      writes.push(item);
    }
  }
  flush();
  return writes;
}

/** For people, and for whoever turns it into a vector. */
export function describeScript({ items, chunk, tls }: Script): string {
  const lines = items.map((item) => {
    switch (item.do) {
      case "bytes":
        return `  ${hex(item.bytes)}`;
      case "proof":
      case "hello":
      case "again":
        return `  (${item.do} ${JSON.stringify({ ...item, do: undefined })})`;
      default:
        return `  (${item.do})`;
    }
  });
  return `  writes of ${chunk === 0 ? "one item" : `${chunk} bytes`}` +
    `${tls === undefined || tls === "none" ? "" : `, over TLS (${tls})`}\n` +
    lines.join("\n");
}

function hex(bytes: Uint8Array): string {
  if (bytes.byteLength > 8 && bytes.every((byte) => byte === bytes[0])) {
    return `${bytes.byteLength} times ${hex(bytes.subarray(0, 1))}`;
  }
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
