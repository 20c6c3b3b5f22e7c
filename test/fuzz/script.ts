/**
 * What a hostile peer does on one connection, as data: so that it can be made
 * smaller, printed, and done again.
 *
 * @module
 */

import { FrameType, HEADER_BYTES } from "../../core/frame/frame.ts";

/** One thing that it does. */
export type Item =
  | { readonly do: "bytes"; readonly bytes: Uint8Array }
  /**
   * A PROOF made from both HELLOs as they went over the wire, by who has the
   * token, or by who has another one. `flip` spoils one bit of the frame.
   */
  | {
    readonly do: "proof";
    readonly token: boolean;
    readonly flip: number | null;
  }
  /** Waits until the other side has nothing more to do. */
  | { readonly do: "settle" }
  /** Reads nothing from here on. */
  | { readonly do: "mute" }
  /** Ends its own side. */
  | { readonly do: "end" };

/** See the module's description. */
export interface Script {
  /** Of all that is left to chance while it runs. */
  readonly seed: number;
  readonly items: readonly Item[];
  /** Largest write, in bytes; 0: one write for each item. */
  readonly chunk: number;
}

/** Whether it proves the token; without that nothing may come of it. */
export function hasToken({ items }: Script): boolean {
  return items.some((item) =>
    item.do === "proof" && item.token && item.flip === null
  );
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

/** For people, and for whoever turns it into a vector. */
export function describeScript({ items, chunk }: Script): string {
  const lines = items.map((item) => {
    switch (item.do) {
      case "bytes":
        return `  ${hex(item.bytes)}`;
      case "proof":
        return `  (PROOF ${item.token ? "with" : "without"} the token` +
          `${item.flip === null ? "" : `, bit ${item.flip} flipped`})`;
      default:
        return `  (${item.do})`;
    }
  });
  return `  writes of ${chunk === 0 ? "one item" : `${chunk} bytes`}\n` +
    lines.join("\n");
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
