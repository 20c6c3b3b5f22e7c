/**
 * Two resumable links that are each other's ends, over one connection in memory
 * after another, each of which can be made to break. The handshake is left out:
 * each side is simply told what the other has received.
 *
 * @module
 */

import type { LimpetError } from "../../core/errors.ts";
import { type Frame, FrameType } from "../../core/frame/frame.ts";
import { PlainLink } from "../../core/link/plain_link.ts";
import {
  ResumableLink,
  type ResumableOptions,
} from "../../core/link/resumable_link.ts";
import type { Duplex } from "../../core/ports.ts";
import { cutAfter, pair } from "./faults.ts";
import { toHex } from "./frames.ts";

/** Where a connection breaks: after so many bytes from that end. */
export interface Cut {
  readonly from: "a" | "b";
  readonly bytes: number;
  /** Whether the other end has read all of them before it notices. */
  readonly read?: boolean;
}

/** One end, and what came out of it. */
export interface End {
  readonly link: ResumableLink;
  /** DATA as its bytes, in hexadecimal; anything else as `<type:payload>`. */
  log: string;
  ended: LimpetError | null | undefined;
  losses: number;
}

/** Both ends. Connections break as `cuts` says, one after another. */
export interface Linked {
  readonly a: End;
  readonly b: End;
  /** How many connections there were. */
  connections(): number;
  close(): void;
}

/** A carrier behind its handshake. */
export function carrierOn(duplex: Duplex): PlainLink {
  const carrier = new PlainLink(duplex);
  carrier.maxPayload = 65_536;
  return carrier;
}

/**
 * Ends that find each other again: `a` as soon as it, or `b`, notices. So the
 * other one often still believes in the connection that was lost. `inWholeFrames`
 * as with a peer that knows of nothing less.
 */
export function linked(
  cuts: readonly Cut[],
  options: Partial<ResumableOptions> = {},
  inWholeFrames = false,
): Linked {
  let connections = 0;
  const connect = (): [PlainLink, PlainLink] => {
    const cut = cuts[connections++];
    let [ours, theirs] = pair();
    if (cut?.read) {
      if (cut.from === "a") theirs = cutAfter(theirs, cut.bytes, "received");
      else ours = cutAfter(ours, cut.bytes, "received");
    } else if (cut?.from === "a") ours = cutAfter(ours, cut.bytes, "sent");
    else if (cut) theirs = cutAfter(theirs, cut.bytes, "sent");
    return [carrierOn(ours), carrierOn(theirs)];
  };
  let again = false;
  const onLost = (end: () => End) => (error: LimpetError) => {
    end().losses++;
    options.onLost?.(error);
    if (again || connections > cuts.length) return;
    again = true;
    queueMicrotask(() => {
      const [ours, theirs] = connect();
      // As in a handshake: the client's connection is gone, and the server gives
      // up the one it may still have before it says what it has received.
      a.link.lost(error);
      b.link.lost(error);
      again = false;
      const { received } = b.link;
      const begun = inWholeFrames ? undefined : b.link.begun;
      const own = inWholeFrames ? undefined : a.link.begun;
      b.link.attach(theirs, a.link.received, own);
      a.link.attach(ours, received, begun);
    });
  };
  const make = (carrier: PlainLink, self: () => End): End => {
    const link = new ResumableLink(carrier, {
      maxReplayBytes: Infinity,
      onOver: () => {},
      ...options,
      onLost: onLost(self),
    });
    const end: End = { link, log: "", ended: undefined, losses: 0 };
    link.keep(true);
    return end;
  };
  const [ours, theirs] = connect();
  const a: End = make(ours, () => a);
  const b: End = make(theirs, () => b);
  for (const end of [a, b]) {
    end.link.start({
      frame: (frame) => {
        end.log += textOf(frame);
      },
      ended: (error) => {
        end.ended = error;
      },
    });
  }
  return {
    a,
    b,
    connections: () => connections,
    close: () => {
      a.link.abort(CLOSED);
      b.link.abort(CLOSED);
    },
  };
}

const CLOSED = { code: "closed" } as LimpetError;

/** As in a log. */
export function textOf({ type, payload }: Frame): string {
  const hex = toHex(payload);
  return type === FrameType.DATA ? hex : `<${type}:${hex}>`;
}

/** What a log is when these have come, each once and in order. */
export function logOf(frames: readonly Frame[]): string {
  return frames.map(textOf).join("");
}
